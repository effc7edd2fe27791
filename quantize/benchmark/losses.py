"""What a quantized model loses time to, dearest first, and the rewrite that helps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quantize.benchmark.gains import (
    Cost,
    Gain,
    conversions,
    product_gains,
    short_name,
    stayed_float,
    typical_gain,
)
from quantize.benchmark.operator_times import Profile
from quantize.benchmark.shape_notes import DEPTHWISE
from quantize.rewrites.common_scales import COMMON_SCALES
from quantize.rewrites.space_to_depth import SPACE_TO_DEPTH

_SHARE_THAT_MATTERS = 0.01
# The operator, or part of the names of those that stand for it in QDQ.
_SPACE_TO_DEPTH_OP = "SpaceToDepth"


@dataclass(frozen=True)
class Loss:
    """Time that int8 does not use for arithmetic as fast as it could be.

    Attributes:
        what: The operator or operators.
        why: What they do, or how little they gain, in a few words.
        time_ns: What is lost: all of a conversion or an fp32 operator, or what a product takes beyond the typical gain.
        rewrite: Name of the rewrite that was made for it, if there is one.
    """

    what: str
    why: str
    time_ns: float
    rewrite: str | None


def losses(profile: Profile) -> tuple[Loss, ...]:
    """Return every loss of at least 1 % of the quantized model's time, dearest first."""
    found = [_conversion(cost) for cost in conversions(profile.candidate)]
    found += [
        Loss(cost.label, f"in fp32, {cost.reason}", cost.time_ns, None) for cost in stayed_float(profile.candidate)
    ]
    typical = typical_gain(profile)
    if typical is not None:
        rewritten = any(
            _SPACE_TO_DEPTH_OP in (node.op_type, *node.name.split("_")) for node in profile.candidate.operators
        )
        found += _products(
            [gain for gain in product_gains(profile) if gain.kind == "int8"], typical, rewritten=rewritten
        )
    least = _SHARE_THAT_MATTERS * profile.candidate.run_ns
    return tuple(sorted((loss for loss in found if loss.time_ns >= least), key=lambda loss: -loss.time_ns))


def _conversion(cost: Cost) -> Loss:
    if cost.op_type == "Concat":
        return Loss(cost.label, f"requantizes, {cost.reason}", cost.time_ns, COMMON_SCALES.name)
    return Loss(cost.label, "only converts", cost.time_ns, None)


def _products(gains: Sequence[Gain], typical: float, *, rewritten: bool) -> Iterator[Loss]:
    """Yield a loss for each product, and one for all depthwise ones."""
    depthwise = [gain for gain in gains if gain.shape_note == DEPTHWISE and gain.lost_ns > 0]
    if len(depthwise) > 1:
        together = sum(gain.baseline_ns for gain in depthwise) / sum(gain.candidate_ns for gain in depthwise)
        lost = sum(gain.lost_ns for gain in depthwise)
        yield Loss(f"{len(depthwise)} depthwise {depthwise[0].op_type}", _gain_words(together, typical), lost, None)
    for gain in gains:
        if len(depthwise) > 1 and gain.shape_note == DEPTHWISE:
            continue
        words = _gain_words(gain.ratio, typical)
        helps = gain.shape_note is not None and gain.shape_note != DEPTHWISE and not rewritten
        yield Loss(
            short_name(gain.origin, gain.op_type),
            words if gain.shape_note is None else f"{words}; {gain.shape_note}",
            gain.lost_ns,
            SPACE_TO_DEPTH.name if helps else None,
        )


def _gain_words(ratio: float, typical: float) -> str:
    return f"{ratio:.2f}x of {typical:.1f}x"
