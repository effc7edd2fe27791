"""How a search by Neural Compressor ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from quantize.engines.inc.int8_share import kept_int8
from quantize.recipe import Recipe

StopReason = Literal["met", "timeout", "time_budget", "max_trials", "exhausted", "failed", "abandoned"]


@dataclass(frozen=True)
class IncOutcome:
    """Why a search ended, and which recipe it chose.

    Attributes:
        stopped: ``met`` (the strategy is content), ``timeout``, ``time_budget``, ``max_trials``, ``exhausted`` (the
            strategy has nothing left and nothing met the criterion), ``failed`` (an error was raised) or ``abandoned``
            (interrupted, or nobody asked for more trials).
        chosen: Id of the recipe that met the criterion with most ops in int8, then with the best metric, then first;
            None where none met it.
        best: Id of the recipe with the best metric, whether or not it met the criterion; None where none was measured.
    """

    stopped: StopReason
    chosen: str | None
    best: str | None


@dataclass(frozen=True)
class Result:
    """What one recipe came to.

    Attributes:
        recipe: What was tried.
        metric: The criterion's metric, a fraction; None where it was not measured or failed.
        met: Whether it met the criterion.
    """

    recipe: Recipe
    metric: float | None
    met: bool


def outcome_of(stopped: StopReason, results: Sequence[Result]) -> IncOutcome:
    """Return the outcome of a search from its results, in the order in which they came.

    Neural Compressor itself prefers the candidate whose evaluation took the least time, which is another one each
    time; the share of ops in int8 stands for speed here.
    """
    chosen = next(iter(in_order_of_preference(results)), None)
    measured = [(result.metric, result) for result in results if result.metric is not None]
    best = max(measured, key=lambda pair: pair[0], default=None)
    return IncOutcome(stopped, chosen.recipe.id if chosen else None, best[1].recipe.id if best else None)


def in_order_of_preference(results: Sequence[Result]) -> list[Result]:
    """Return the results that met the criterion: most ops in int8 first, then by metric, then as they came."""
    return sorted((result for result in results if result.met), key=_most_int8, reverse=True)


def _most_int8(result: Result) -> tuple[int, int, float]:
    kept = kept_int8(result.recipe)
    return kept.weighted, kept.ops, result.metric if result.metric is not None else 0.0
