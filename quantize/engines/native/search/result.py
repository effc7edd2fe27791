"""The result of a search, and the choice among its candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from quantize.criterion import Outcome
from quantize.engines.native.search.sensitivity import Sensitivity
from quantize.engines.trial import CandidateRecord, Trial
from quantize.recipe import Recipe

FASTER = 1.01
"""A candidate is taken to be faster than another one if its lower measurement of two is faster by this."""
AS_FAST = 1.02
"""Candidates whose speed-ups differ by no more than this are as fast: one graph measured anew differs by as much."""
AS_SMALL = 1.02
"""Files that differ by no more than this are as small: names and scales take as much."""
Stage = Literal["ladder", "variant", "neighbour", "stored"]
Stopped = Literal["search finished", "trial budget spent", "time budget spent"]


@dataclass(frozen=True)
class Judgement:
    """How a candidate did on the evaluation images.

    Attributes:
        metric: The criterion's metric on those images, a fraction; None if nothing is measured.
        met: The candidate meets the criterion on all images.
        images: Images that were evaluated before the verdict was certain.
        total: Images of the evaluation set.
    """

    metric: float | None
    met: bool
    images: int
    total: int

    @property
    def complete(self) -> bool:
        """Return whether all images were evaluated, so that the metric can be compared with others'."""
        return self.images == self.total


@dataclass(frozen=True)
class Candidate:
    """One evaluated candidate.

    Attributes:
        trial: Its recipe, file and metric.
        stage: The step of the search that it came from.
        met: It meets the criterion.
        speedup: fp32's time over its own, measured in alternation with it or the fastest candidate; None if it was
            not measured.
        predicted_ns: Its predicted time for one run, in nanoseconds; None without a prediction.
        measured_ns: Its measured time, in nanoseconds; None if it was not measured.
        images: Images that its evaluation took.
        complete: Those were all, so that its metric can be compared.
        speed: Whether it is fast enough; None if it was not measured.
    """

    trial: Trial
    stage: Stage
    met: bool = False
    speedup: float | None = None
    predicted_ns: float | None = None
    measured_ns: float | None = None
    images: int = 0
    complete: bool = False
    speed: Outcome | None = None


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        candidates: All that were evaluated, in order.
        chosen: The fastest that meets the criterion and is fast enough, or of those as fast the smallest and then the
            nearest to fp32; None if nothing meets both.
        best: The chosen one, or else the fastest that meets the criterion, or else the one nearest to it; None if
            nothing was evaluated.
        pareto: Those that no other beats in both metric and speed-up, fastest first.
        stopped: Why the search ended.
        sensitivity: What every op's quantization alone does; None if the search ended before.
        fidelity: (recipe in words, mean KL from fp32 in nats) of every recipe that was compared on calibration images.
        seconds: Time by stage.
        timed: Those that were only timed, and left as they were neither faster nor as fast and closer to fp32.
    """

    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    best: Candidate | None
    pareto: tuple[Candidate, ...]
    stopped: Stopped
    sensitivity: Sensitivity | None
    fidelity: tuple[tuple[str, float], ...]
    seconds: Mapping[str, float]
    timed: tuple[CandidateRecord, ...] = ()


def fastest_met(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the fastest candidate that meets the criterion and is fast enough by measurement."""
    return next(iter(as_fast(candidates)), None)


def as_fast(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the fastest candidate that meets the criterion and is fast enough, and those as fast, the fastest first.

    Where none is fast enough with the required certainty, those count for which that is inconclusive.
    """
    passing = [
        (candidate.speedup, candidate) for candidate in candidates if candidate.met and candidate.speedup is not None
    ]
    enough = [pair for pair in passing if pair[1].speed == "met"]
    settled = enough or [pair for pair in passing if pair[1].speed == "inconclusive"]
    settled.sort(key=lambda pair: (-pair[0], pair[1].trial.recipe.id))
    return tuple(candidate for speedup, candidate in settled if speedup >= settled[0][0] / AS_FAST)


def smallest(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates whose files are as small as the smallest one's, in their order."""
    built = [(candidate.trial.artifact.bytes, candidate) for candidate in candidates if candidate.trial.artifact]
    least = min((size for size, _ in built), default=0)
    return tuple(candidate for size, candidate in built if size <= AS_SMALL * least)


def preferred(candidates: Sequence[Candidate], is_nearer: Callable[[Recipe, Recipe], bool]) -> Candidate | None:
    """Return the best candidate: of those as fast as the fastest that pass, the smallest, then the nearest to fp32.

    Args:
        candidates: All that were evaluated.
        is_nearer: Whether the first of two recipes is so much closer that it replaces a faster one.
    """
    best: Candidate | None = None
    for candidate in smallest(as_fast(candidates)):
        if best is None or is_nearer(candidate.trial.recipe, best.trial.recipe):
            best = candidate
    return best


def best_of(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the fastest candidate that meets the criterion however slow it is, or else the nearest to it."""
    passing = [candidate for candidate in candidates if candidate.met and candidate.speedup is not None]
    return max(passing, key=lambda candidate: candidate.speedup or 0.0, default=None) or nearest(candidates)


def nearest(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate with the highest metric; of equals the fastest."""
    measured = [candidate for candidate in candidates if candidate.trial.metric is not None]
    # The metric of a race that ended early is of fewer images.
    comparable = [candidate for candidate in measured if candidate.complete] or measured or candidates
    return max(
        comparable, key=lambda candidate: (candidate.trial.metric or 0.0, candidate.speedup or 0.0), default=None
    )


def pareto(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates that no other is at least as good as in both metric and speed-up, fastest first."""
    known = sorted(
        (candidate for candidate in candidates if candidate.trial.metric is not None and candidate.speedup is not None),
        key=lambda candidate: (-(candidate.speedup or 0.0), -(candidate.trial.metric or 0.0), candidate.trial.index),
    )
    front: list[Candidate] = []
    for candidate in known:
        if not front or (candidate.trial.metric or 0.0) > (front[-1].trial.metric or 0.0):
            front.append(candidate)
    return tuple(front)
