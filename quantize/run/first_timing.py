"""A short timing of this machine before a run is planned: fp32 on one image, and Python itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quantize.models.artifact import ModelArtifact
from quantize.models.session import NOT_RUN, open_session

_SECONDS = 0.4
_RUNS = 12
_TURNS = 5
_SORTED = 100_000
_ADDED = 30_000
_HERE_BEFORE = 0.0024
"""Seconds that ``_work`` took on the machine whose runs the plan's figures are from (an AMD EPYC, Zen 5)."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class FirstTiming:
    """What a machine takes.

    Attributes:
        fp32: Seconds of fp32 on one image, on one core.
        slowness: How many times as long as on the machine of the plan's figures everything else takes.
    """

    fp32: float
    slowness: float


def first_timing(model: ModelArtifact, side: int, *, clock: Clock = time.perf_counter) -> FirstTiming | None:
    """Time a model for under a second; None where it does not run alone on an image of zeros.

    Args:
        model: The prepared fp32 model.
        side: Height and width of its images, where it takes any.
        clock: Gives the time in seconds.
    """
    try:
        fp32 = _fp32(model, side, clock)
    except NOT_RUN:
        return None
    work = min(_timed(_work, clock) for _ in range(_TURNS))
    return FirstTiming(fp32, work / _HERE_BEFORE)


def _fp32(model: ModelArtifact, side: int, clock: Clock) -> float:
    session = open_session(model.path, threads=1)
    (given,) = session.get_inputs()
    sizes = [model.contract.fixed_batch or 1, model.contract.channels, side, side]
    shape = [size if isinstance(size, int) else known for size, known in zip(given.shape, sizes, strict=True)]
    image = {given.name: np.zeros(shape, np.float32)}
    session.run(None, image)  # opens what is opened late
    end, shortest = clock() + _SECONDS, None
    for _ in range(_RUNS):
        seconds = _timed(lambda: session.run(None, image), clock)
        shortest = seconds if shortest is None else min(shortest, seconds)
        if clock() >= end:
            break
    assert shortest is not None
    return shortest / shape[0]


def _timed(work: Callable[[], object], clock: Clock) -> float:
    begin = clock()
    work()
    return clock() - begin


def _work() -> float:
    """Sort, multiply and add, as quantizing does in numpy and in Python."""
    values = np.sin(np.arange(_SORTED, dtype=np.float32) * 12.9898)
    ordered = np.sort(values)
    product = ordered[:65536].reshape(256, 256) @ values[:65536].reshape(256, 256)
    total = 0.0
    for number in range(_ADDED):
        total += number % 7
    return total + float(product[0, 0])
