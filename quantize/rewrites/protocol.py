"""The interface of every rewrite of a quantized graph, and its promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quantize.graph.view import Graph

HIGHEST = 5
"""Ties are counted among so many highest scores."""


@dataclass(frozen=True)
class Declaration:
    """By how much a rewrite may move the scores.

    Attributes:
        kind: ``exact``: bit-equal scores in QLinear form, and in QDQ form once onnxruntime has fused it.
            ``rounding``: scores may move by rounding.
        within: The largest move: root mean square of the scores' differences over the root mean square of the scores
            before, on a batch of real images; 0.0 for ``exact``.
    """

    kind: Literal["exact", "rounding"]
    within: float = 0.0

    def __post_init__(self) -> None:
        if (self.kind == "exact") != (self.within == 0.0):
            raise ValueError("an exact rewrite moves nothing, one that rounds says by how much")

    def allows(self, movement: Movement) -> bool:
        """Return whether the scores moved no more than was declared."""
        return movement.relative <= self.within if self.kind == "rounding" else movement.largest == 0.0


@dataclass(frozen=True)
class RatioInterval:
    """A paired speed ratio, time before over time after, with its confidence interval: above 1 is faster."""

    low: float
    ratio: float
    high: float


@dataclass(frozen=True)
class Movement:
    """What a rewrite did to the scores of the images that it was checked on.

    Attributes:
        images: Number of images.
        largest: Largest absolute difference of a score.
        relative: Root mean square of the differences over that of the scores before.
        predictions_changed: Images whose first highest score is another class.
        ties_before: Images with equal scores among the five highest, before.
        ties_after: The same, after.
    """

    images: int
    largest: float
    relative: float
    predictions_changed: int
    ties_before: int
    ties_after: int


def movement(before: NDArray[Any], after: NDArray[Any]) -> Movement:
    """Compare the scores of the same images before (the reference) and after, both (N, classes)."""
    difference = after.astype(np.float64) - before.astype(np.float64)
    size = float(np.sqrt(np.mean(np.square(before, dtype=np.float64))))
    moved = float(np.sqrt(np.mean(np.square(difference))))
    return Movement(
        images=len(before),
        largest=float(np.abs(difference).max(initial=0.0)),
        relative=moved / size if size > 0 else (0.0 if moved == 0 else float("inf")),
        predictions_changed=int(np.sum(before.argmax(axis=1) != after.argmax(axis=1))),
        ties_before=_ties(before),
        ties_after=_ties(after),
    )


def _ties(scores: NDArray[Any]) -> int:
    """Return the number of images with equal scores among the highest (all of them if there are fewer)."""
    highest = np.sort(scores, axis=1)[:, -HIGHEST:]
    return int(np.sum((np.diff(highest, axis=1) == 0).any(axis=1)))


@dataclass(frozen=True)
class Nearness:
    """How near a model's scores are to fp32's on a run's images.

    Attributes:
        agreement: Share of images with fp32's highest score.
        divergence: Mean KL from fp32's probabilities, in nats.
    """

    agreement: float
    divergence: float


@dataclass(frozen=True)
class Comparison:
    """A model before and after a rewrite: what decides whether to keep it.

    Attributes:
        speed: Speed ratio by format; empty where nothing was timed.
        movement: What happened to the scores.
        nearer: Whether the scores are no further from fp32's than before, by their divergence; False if that was not
            measured.
    """

    speed: Mapping[str, RatioInterval]
    movement: Movement
    nearer: bool = False


@dataclass(frozen=True)
class Rewrite:
    """One transformation of a graph in canonical form (QDQ around every operator, see ``formats.canonical``).

    Attributes:
        name: Under which users ask for it.
        declares: By how much it may move scores.
        apply: Changes the graph wherever it matches and returns the names of the nodes changed; returns nothing where
            nothing matched, and then the graph is as it was.
        broken: Given the graph after and the names that ``apply`` returned, says what does not hold that must hold;
            nothing where all is well.
        pays: Decides from the comparison whether it is worth keeping.
        only_measured: It pays on some CPUs only: the candidates of a search do without it, and it is tried at the end,
            where both forms are timed.
        for_matrix_units: Only CPUs gain from it on which onnxruntime's general product outruns its Conv; it is not
            tried on others.
    """

    name: str
    declares: Declaration
    apply: Callable[[Graph], Sequence[str]]
    broken: Callable[[Graph, Sequence[str]], Sequence[str]]
    pays: Callable[[Comparison], bool]
    only_measured: bool = False
    for_matrix_units: bool = False


def not_shown_slower(comparison: Comparison) -> bool:
    """Keep what costs nothing else: unless the paired benchmark shows that it is slower, in either format."""
    return all(ratio.high >= 1.0 for ratio in comparison.speed.values())


def shown_not_slower(comparison: Comparison) -> bool:
    """Keep what moves scores if the paired benchmark shows that it is not slower, in both formats.

    What moves them towards fp32's costs nothing: it is kept unless it is shown to be slower.
    """
    if comparison.nearer:
        return not_shown_slower(comparison)
    return all(ratio.low >= 1.0 for ratio in comparison.speed.values())


def shown_faster(comparison: Comparison) -> bool:
    """Keep what is one of two ways only if the paired benchmark shows that it is the faster one, in both formats."""
    return all(ratio.low > 1.0 for ratio in comparison.speed.values())
