"""How many images a verdict would need."""

from __future__ import annotations

import math

from scipy import stats

_NO_MARGIN = 1e-6  # of all images; less than that takes more images than there are photographs
POWER = 0.8  # the chance of getting the verdict that the truth deserves, where no other is stated


def images_needed(
    *, margin: float, discordant: float, drop: float, confidence: float, power: float = POWER
) -> int | None:
    """Return the number of paired images at which a one-sided verdict comes out with ``power``.

    n = (z_confidence + z_power)² * variance / margin², the variance of one image's loss or gain being
    discordant - drop² (Connor 1987, Biometrics 43:207-211). Even odds are power 0.5.

    Args:
        margin: Distance of the true drop from the tolerance, as a fraction of all images; its sign does not matter.
        discordant: Share of images that exactly one of the models gets right.
        drop: The true drop, as a fraction of all images.
        confidence: One-sided.
        power: Chance of the verdict.

    Returns:
        None where the margin is below a millionth: no number of images decides a drop at the tolerance.

    Raises:
        ValueError: The drop is larger than the discordant share.
    """
    if not abs(drop) <= discordant <= 1:
        raise ValueError(f"a drop of {drop} with {discordant} discordant")
    if abs(margin) < _NO_MARGIN:
        return None
    quantiles = float(stats.norm.isf(1 - confidence) + stats.norm.isf(1 - power))
    return max(1, math.ceil(quantiles**2 * (discordant - drop**2) / margin**2))


def images_needed_for_rate(*, rate: float, threshold: float, confidence: float, power: float = POWER) -> int | None:
    """Return the number of images that tell a true ``rate`` from ``threshold``, one-sided.

    Returns:
        None where they are the same to a millionth.
    """
    if abs(rate - threshold) < _NO_MARGIN:
        return None
    z, z_power = float(stats.norm.isf(1 - confidence)), float(stats.norm.isf(1 - power))
    deviation = z * math.sqrt(threshold * (1 - threshold)) + z_power * math.sqrt(rate * (1 - rate))
    return max(1, math.ceil((deviation / (rate - threshold)) ** 2))
