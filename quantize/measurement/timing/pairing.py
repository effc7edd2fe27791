"""From blocks to paired values: one log ratio a round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quantize.measurement.timing.block import Block


def round_levels(blocks: Sequence[Block], contestant: str) -> dict[int, float]:
    """Return the log time of a contestant in each round: the mean of the logs of its blocks' medians.

    Args:
        blocks: Of any contestants.
        contestant: Whose to take.

    Returns:
        Round number to natural logarithm of nanoseconds.
    """
    logs: dict[int, list[float]] = defaultdict(list)
    for block in blocks:
        if block.contestant == contestant:
            logs[block.round].append(float(np.log(max(block.median_ns, 1.0))))
    return {number: float(np.mean(values)) for number, values in sorted(logs.items())}


def paired_log_ratios(blocks: Sequence[Block], baseline: str, candidate: str) -> npt.NDArray[np.float64]:
    """Return, for each round, the logarithm of the baseline's time over the candidate's.

    Within a round the two are mirrored (ABBA), so a linear drift cancels, and whatever lasts longer than a round
    moves both alike.

    Returns:
        One value a round that holds both, in order; positive where the candidate is faster.
    """
    reference, tried = round_levels(blocks, baseline), round_levels(blocks, candidate)
    return np.array([reference[number] - tried[number] for number in reference if number in tried], dtype=np.float64)
