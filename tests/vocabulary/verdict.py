"""Whether an engine kept the scores of a network, and in a few words what is wrong if not."""

from __future__ import annotations

from pathlib import Path

from quantize.recipe import EngineName
from tests.vocabulary.engines import by_neural_compressor, by_onnxruntime, natively
from tests.vocabulary.growth import Plan
from tests.vocabulary.quantized import Built, Sample, sample, written
from tests.vocabulary.recipes import RECIPES

OTHERS: dict[EngineName, Built] = {"ort": by_onnxruntime, "inc": by_neural_compressor}
MOST_TIMES_ROUNDING = 4.0
"""What is so much further from fp32 has a fault. Most are nearer than rounding by hand, which rounds more tensors; but
its errors may happen to cancel out."""


def problem_of(plan: Plan, engine: EngineName, folder: Path) -> str | None:
    """Return what is wrong with the files that an engine makes of a network; None where nothing is."""
    return judged(plan, engine, sample(plan.model(), folder), folder)


def judged(plan: Plan, engine: EngineName, given: Sample, folder: Path) -> str | None:
    """Return the same of a network that is prepared already."""
    tried = RECIPES[plan.recipe]
    times = tried.times if engine == "native" else 1.0
    build = natively(tried.recipe) if engine == "native" else OTHERS[engine]
    made = written(given, build, folder)
    if not made.times_rounding <= (MOST_TIMES_ROUNDING * times if times is not None else float("inf")):
        return f"{made.times_rounding:.1f} times the error of rounding, {min(made.sqnr):.1f} dB"
    if not made.agree:
        return f"the formats differ: {made.sqnr[0]:.1f} and {made.sqnr[1]:.1f} dB"
    return None
