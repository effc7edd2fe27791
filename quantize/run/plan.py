"""The plan of a run: its stages, and about how long each of them takes.

What a stage takes follows from how many images go through which model, from the number of layers that are quantized,
and from a short timing of this machine. The figures are fitted to the stages of recorded runs (SqueezeNet and
EfficientNet-Lite0); ``benchmarks/plan.py`` holds a run's log against what came true.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quantize.engines.image_budget import SAMPLE
from quantize.recipe import EngineName
from quantize.run.work import Work

DECODE, FP32, PLACE = "decode the images", "evaluate fp32", "place the layers"
LAYER_ERRORS, REWRITE = "error by layer", "rewrite, and write both formats"
CHECK, HELD = "correct the scores, and check every layer", "compare both files"
TIMED, FILES = "time both files against fp32", "evaluate the written files"
COMPARE, BENCHMARK, ALL_CORES = "compare the engines", "benchmark", "benchmark on all cores"
ANATOMY, REPORT = "memory and operators", "write the report"

_OF_FILES = (REWRITE, CHECK, HELD, TIMED, FILES)

_DECODED = 0.0046
"""Seconds for a photograph on a core."""
_CALIBRATED = 3.0
"""What a calibration image takes, of fp32 alone: all tensors are looked at."""
_SENSITIVITY = 38.0
"""What sensitivity takes of each layer, in fp32 on one image."""
_CHOICE = 0.45
"""Seconds a layer for the choice of a recipe."""
_ROUNDING = 1e-8
"""Seconds a multiply-add of rounding all weights once, for all the times that they are rounded for that choice."""
_SESSIONS = 0.19
"""Seconds for a process that loads a model and runs it."""
_ROUND = 20
"""Timed runs in a round of the benchmark, and what is run besides in each to warm up."""
_WARMED = 9


@dataclass(frozen=True)
class Plan:
    """The stages that are to come, in order, with about how many seconds each takes.

    The stages in which files are written come once for each engine.
    """

    stages: tuple[tuple[str, float], ...]

    @property
    def seconds(self) -> float:
        """Return what all stages take together."""
        return self.after(-1)

    def after(self, position: int) -> float:
        """Return what the stages behind the one at a position take together."""
        return sum(seconds for _, seconds in self.stages[position + 1 :])

    def next(self, stage: str, position: int) -> int | None:
        """Return the position of a stage that begins; None where it is not planned, or is only taken up again.

        Args:
            stage: Its name.
            position: That of the stage that began last; -1: none has.
        """
        for number in range(position + 1, len(self.stages)):
            name, _ = self.stages[number]
            if name == stage:
                return number
            if name == LAYER_ERRORS and stage in _OF_FILES and position >= 0:  # the files of the next engine begin
                return None
        return None

    def in_words(self) -> dict[str, float]:
        """Return what is shown: stage to seconds, those of several engines taken together."""
        shown: dict[str, float] = {}
        for stage, seconds in self.stages:
            shown[stage] = shown.get(stage, 0.0) + seconds
        return shown


def planned(work: Work) -> Plan:
    """Return the plan of a run."""
    each = len(work.searches)
    stages = [
        (DECODE, work.images * _DECODED * work.slowness / work.cores),
        (FP32, work.evaluated * work.fp32 / work.cores),
        *((stage, _search(work, engine)) for stage, engine in work.searches),
        *(stage for _, engine in work.searches for stage in _written(work, engine)),
        *([(COMPARE, 6.0 * (each - 1))] if each > 1 else []),
        (BENCHMARK, _benchmark(work)),
        *([(ALL_CORES, _all_cores(work))] if work.most_all_cores else []),
        (ANATOMY, _anatomy(work)),
        (REPORT, 2.0 * work.slowness),
    ]
    return Plan(tuple(stages))


def _written(work: Work, engine: EngineName) -> Iterator[tuple[str, float]]:
    """Yield the stages in which an engine's files are made."""
    is_placed_by_time = work.is_placed and engine != "native"
    if is_placed_by_time:
        yield PLACE, _placing(work)
    yield LAYER_ERRORS, work.layers * (0.002 + 0.0006 * work.effort.layer_images) * work.slowness
    yield REWRITE, _rewriting(work)
    yield CHECK, work.layers * (0.01 + 0.005 * work.effort.proven_images) * work.slowness
    yield HELD, _held(work)
    if is_placed_by_time:
        yield TIMED, 0.6 * work.slowness + 100 * work.fp32 * (1 + work.int8)
    yield FILES, _files(work)


def _pass(work: Work, images: int, share: float) -> float:
    return images * work.fp32 * share / work.cores


def _judged(work: Work) -> float:
    """Return the seconds of an int8 pass over the images that a candidate is judged on."""
    return _pass(work, min(SAMPLE, work.evaluated), work.int8)


def _search(work: Work, engine: EngineName) -> float:
    if work.is_repeated:
        return _calibrating(work) + 0.1 * work.layers * work.slowness
    own = {"native": _native, "inc": _inc, "ort": _ort}[engine](work)
    return min(work.most_search, own)


def _calibrating(work: Work) -> float:
    return 0.25 * work.slowness + _CALIBRATED * work.calibrated * work.fp32


def _native(work: Work) -> float:
    if work.quick:
        return _calibrating(work) + 0.015 * work.layers * work.slowness + 0.7 + 1.5 * _judged(work)
    chosen = (_CHOICE * work.layers + _ROUNDING * work.rounding) * work.slowness
    sensitive = _SENSITIVITY * work.layers * work.fp32
    built = 0.06 * work.layers * work.slowness
    timed = 9.0 + 200 * work.fp32
    return _calibrating(work) + chosen + sensitive + built + timed + 2 * _judged(work)


def _inc(work: Work) -> float:
    started, built = 4.0 * work.slowness, 0.08 * work.layers * work.slowness
    return started + built + _CALIBRATED * work.calibrated * work.fp32 + _judged(work)


def _ort(work: Work) -> float:
    built = (2.0 + 0.05 * work.layers) * work.slowness + _CALIBRATED * work.calibrated * work.fp32
    return 2 * (built + _judged(work))


def _placing(work: Work) -> float:
    timed = 2.0 if work.quick else 12.0 + 200 * work.fp32
    return _SENSITIVITY * work.layers * work.fp32 + 0.4 * work.layers * work.slowness + timed + _judged(work)


def _rewriting(work: Work) -> float:
    applied = 0.025 * work.layers * work.slowness
    return applied + (8.0 + 2 * _judged(work) if work.effort.judges_rewrites else 0.0)


def _held(work: Work) -> float:
    compared = min(work.effort.compared_images, work.evaluated)
    return 2 * _judged(work) + 2 * _pass(work, compared, 1.0) + 0.1 * work.slowness


def _files(work: Work) -> float:
    """Return the seconds of the images that the files were not held against their trial on."""
    known = work.evaluated if work.evaluated <= SAMPLE else 0
    whole = work.evaluated - known + work.certification
    return _pass(work, work.certification, 1.0) + 2 * _pass(work, whole, work.int8) + 0.1 * work.slowness


def _benchmark(work: Work) -> float:
    files = 2 * len(work.searches)
    one = work.fp32 * (2 + files * work.int8)
    rounds = max(6.0, work.iterations / (2 * _ROUND))
    opened = rounds * (2 + files) * 0.03 * work.slowness
    return min(work.most_benchmark, opened + (work.iterations + 2 * _WARMED * rounds) * one)


def _all_cores(work: Work) -> float:
    """Return the seconds of six to a dozen rounds of ten runs of each model on all cores."""
    opened, runs = 4 * 0.04 * work.slowness, 25
    return min(work.most_all_cores, 8 * (opened + runs * work.fp32 * (2 + 2 * work.int8) / work.cores))


def _anatomy(work: Work) -> float:
    loaded = work.effort.loads * (1 + 2 * len(work.searches)) * _SESSIONS * work.slowness
    return loaded + 0.4 * work.slowness + 2.5 * work.effort.profiled_runs * work.fp32 * (1 + work.int8)
