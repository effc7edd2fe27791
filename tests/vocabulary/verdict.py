"""Whether an engine kept the scores of a network, and in a few words what is wrong if not."""

from __future__ import annotations

from pathlib import Path

from tests.vocabulary.growth import Plan
from tests.vocabulary.quantized import Built, Quantized, sample, written

MOST_TIMES_ROUNDING = 4.0
"""What is so much further from fp32 has a fault. Most are nearer than rounding by hand, which rounds more tensors; but
its errors may happen to cancel out."""


def problem_of(plan: Plan, build: Built, folder: Path) -> str | None:
    """Return what is wrong with the files that an engine makes of a network; None where nothing is."""
    return judged(written(sample(plan.model(), folder), build, folder))


def judged(made: Quantized) -> str | None:
    """Return what is wrong with two files."""
    if not made.times_rounding <= MOST_TIMES_ROUNDING:
        return f"{made.times_rounding:.1f} times the error of rounding, {min(made.sqnr):.1f} dB"
    if not made.agree:
        return f"the formats differ: {made.sqnr[0]:.1f} and {made.sqnr[1]:.1f} dB"
    return None
