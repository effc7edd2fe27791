"""From a search to written files that hold what the search promised: candidate after candidate until one does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from quantize.criterion import Criterion
from quantize.engines.protocols import Trial
from quantize.report.placement import LostSection, PlacementSection
from quantize.run.context import Context
from quantize.run.contracted_build import Written, write
from quantize.run.evaluator import Evaluator, metric_of
from quantize.run.folder import RunFolder
from quantize.run.judging import Judged, judge
from quantize.run.losses import lost_by
from quantize.run.placement import PlacedTrial, choose_placement, in_float, slower_file
from quantize.run.ratios import Ratios
from quantize.run.search import Found

_LOG = logging.getLogger("quantize")

GoOn = Callable[[Found, frozenset[str]], Found | None]
"""Searches on without the recipes of some ids; None where there is nothing left of the budget or to be tried."""


@dataclass(frozen=True)
class Settled:
    """The files that a search came to.

    Attributes:
        written: The files.
        judged: What was found for them.
        placement: Where their layers compute, and why; None where another engine than Neural Compressor decided.
        lost: Trials that met the criterion, and whose files do not, in the order in which they were tried.
    """

    written: Written
    judged: Judged
    placement: PlacementSection | None = None
    lost: tuple[LostSection, ...] = ()


@dataclass(frozen=True)
class _Missed:
    """A candidate whose files missed the criterion: the lower metric of both, and where its layers compute."""

    metric: float
    own: Trial
    place: PlacedTrial | None

    def trial(self, found: Found) -> Trial:
        """Return what was written, with its number in a search that may have gone on since."""
        index = _index(found, self.own.recipe.id, self.own.index)
        return replace(self.own if self.place is None else self.place.trial, index=index)


class Settling:
    """Writes a search's candidates in the engine's order of preference until the files of one meet the criterion."""

    def __init__(
        self,
        context: Context,
        criterion: Criterion,
        selection: Evaluator,
        ratios: Ratios,
        folder: RunFolder | None = None,
    ) -> None:
        """Set up.

        Args:
            context: The run.
            criterion: What was asked.
            selection: Evaluates on the images that trials saw.
            ratios: Speed ratios that decide.
            folder: Where the files go; None: where the run's go.
        """
        self._context, self._criterion, self._selection, self._ratios = context, criterion, selection, ratios
        self._folder = folder
        self._lost: dict[str, LostSection] = {}

    def settle(self, found: Found, go_on: GoOn) -> Settled:
        """Return the files of the first candidate that hold what its trial promised.

        Where there is none, everything computes in float; where that was not asked for, the best files that missed are
        written, and the losses say why.

        Args:
            found: The search.
            go_on: Searches on where every candidate's files missed.
        """
        if self._context.recorded is not None:
            return self._written(found, None)
        missed: list[_Missed] = []
        tried: set[str] = set()
        while True:
            for trial in (found.chosen, *found.others):
                if trial.recipe.id in tried or (missed and not self._criterion.met(trial.metric)):
                    continue
                tried.add(trial.recipe.id)
                place = self._placed(trial)
                settled = self._settled(found, trial, place)
                if settled is not None:
                    return settled
                missed.append(_Missed(self._accuracy(), trial, place))
            more = go_on(found, frozenset(tried))
            if more is None:
                break
            found = more
        return self._after_all(found, missed)

    def _settled(self, found: Found, trial: Trial, place: PlacedTrial | None) -> Settled | None:
        """Write a trial's files; None where they miss what it met."""
        now = replace(found, chosen=trial if place is None else place.trial)
        result = self._written(now, place)
        met = self._criterion.met(trial.metric) if place is None else place.met
        self._last = result
        if not met:
            return result  # nothing was promised, so nothing was lost
        lost = lost_by(result.written, result.judged, self._criterion)
        speedup = self._slower(result, place) if lost is None else None
        if lost is None and speedup is None:
            return result
        metric, by = lost or (None, "rewrites that had been timed and are not in the files")
        self._lost[trial.recipe.id] = LostSection(
            trial=trial.index,
            recipe_id=now.chosen.recipe.id,
            trial_metric=now.chosen.metric,
            metric=metric,
            by=by,
            speedup=speedup,
        )
        _LOG.warning("trial %d met the criterion, its written files do not: lost by %s", trial.index + 1, by)
        return None

    def _slower(self, result: Settled, place: PlacedTrial | None) -> float | None:
        """Return the speed-up of a file that is slower than fp32, where its placement was measured and was not."""
        asked = self._context.config.tuning.speed_criterion.min_speedup
        if place is None or not _may_be_in_float(place) or not 0 < asked <= 1:
            return None
        return slower_file(result.written, self._ratios)

    def _after_all(self, found: Found, missed: list[_Missed]) -> Settled:
        measured = next((one for one in missed if one.place is not None and _may_be_in_float(one.place)), None)
        if measured is not None:
            own = replace(measured.own, index=_index(found, measured.own.recipe.id, measured.own.index))
            place = in_float(self._context, own, self._criterion, self._selection, self._ratios)
            return self._written(replace(found, chosen=place.trial), place)
        best = max(missed, key=lambda one: one.metric)
        if best is missed[-1]:
            return replace(self._last, lost=self._losses(found))
        return self._written(replace(found, chosen=best.trial(found)), best.place)

    def _placed(self, trial: Trial) -> PlacedTrial | None:
        if trial.recipe.engine != "inc":
            return None
        return choose_placement(self._context, trial, self._criterion, self._selection, self._ratios)

    def _written(self, found: Found, place: PlacedTrial | None) -> Settled:
        written = write(self._context, found, self._criterion, self._selection, self._ratios, self._folder)
        judged = judge(written.context, written.built, self._criterion, written.selection)
        return Settled(written, judged, None if place is None else place.section, self._losses(found))

    def _losses(self, found: Found) -> tuple[LostSection, ...]:
        return tuple(
            lost.model_copy(update={"trial": _index(found, recipe_id, lost.trial)})
            for recipe_id, lost in self._lost.items()
        )

    def _accuracy(self) -> float:
        if self._criterion.metric == "none":
            return 0.0
        written = self._last.written
        pair = written.built.pair
        return min(metric_of(written.selection.evaluate(model), self._criterion) for model in (pair.int8, pair.qdq))


def _index(found: Found, recipe_id: str, known: int) -> int:
    """Return a trial's number: a search that went on counts those anew that could be used again.

    Args:
        found: The search.
        recipe_id: What was tried.
        known: Its number before; it stays where the trial was built anew, from a recipe of another id.
    """
    return next((section.index for section in found.sections if section.recipe_id == recipe_id), known)


def _may_be_in_float(place: PlacedTrial) -> bool:
    """Return whether placements were measured, and float arithmetic was not what missed."""
    taken = place.section.taken
    return taken is not None and taken.kind != "float"
