"""When a measurement knows enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantize.measurement.timing.block import Block, Contestant
from quantize.measurement.timing.median_interval import median_interval
from quantize.measurement.timing.pairing import paired_log_ratios, round_levels
from quantize.measurement.timing.plan import Plan

# Each look at the interval is a draw; more resamples than this would cost more time than the look is worth.
_RESAMPLES = 1000


def precise_enough(blocks: Sequence[Block], contestants: Sequence[Contestant], plan: Plan) -> bool:
    """Return whether every model has its runs and every interval is narrow enough.

    With a baseline, the candidates' speed-ups must be as precise as asked, else each model's own time. The A/A
    control only has to be run: its interval is the noise floor, whatever its width.

    Args:
        blocks: Of complete rounds.
        contestants: Who takes part.
        plan: Gives ``iteration``, ``precision`` and ``confidence``.
    """
    runs = {contestant.name: 0 for contestant in contestants}
    for block in blocks:
        runs[block.contestant] += len(block.runs_ns)
    if min(runs.values()) < plan.iteration:
        return False
    compared = [contestant.name for contestant in contestants if contestant.role == "candidate"]
    if plan.baseline is not None and compared:
        series = [paired_log_ratios(blocks, plan.baseline, name) for name in compared]
    else:
        series = [np.array(list(round_levels(blocks, contestant.name).values())) for contestant in contestants]
    for values in series:
        interval = median_interval(values, confidence=plan.confidence, seed=plan.seed, resamples=_RESAMPLES)
        if interval is None or _relative_width(interval, float(np.median(values))) > plan.precision:
            return False
    return True


def _relative_width(interval: tuple[float, float], middle: float) -> float:
    return float(np.exp(interval[1] - middle) - np.exp(interval[0] - middle))
