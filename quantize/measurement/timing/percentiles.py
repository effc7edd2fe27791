"""Latency percentiles, and only those that the sample supports."""

from __future__ import annotations

import math
from collections.abc import Sequence

# A percentile is the word of the runs beyond it: with fewer than ten it is one outlier's.
_RUNS_BEYOND = 10


def runs_needed(quantile: float) -> int:
    """Return how many runs support a quantile above the median: 20 for p50, 100 for p90, 1,000 for p99."""
    return math.ceil(_RUNS_BEYOND / (1 - quantile) - 1e-6)


def percentile_ns(runs_ns: Sequence[int], quantile: float) -> int | None:
    """Return a quantile of run times by nearest rank, so that it is a time that was measured.

    Args:
        runs_ns: Durations in nanoseconds.
        quantile: Between 0.5 and 1, for example 0.99.

    Returns:
        Nanoseconds, or None where the runs do not support it.
    """
    if len(runs_ns) < runs_needed(quantile):
        return None
    return sorted(runs_ns)[math.ceil(quantile * len(runs_ns) - 1e-9) - 1]
