"""From a search to written files that hold what the search promised: candidate after candidate until one does."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial

from quantize.criterion import Criterion, is_slower
from quantize.engines.engine import PlacedTrial, Trial
from quantize.report.placement import LostSection, PlacementSection
from quantize.run.context import Context
from quantize.run.contracted_build import Written, write
from quantize.run.engine_task import measured_ratio
from quantize.run.evaluator import Evaluator, metric_of
from quantize.run.folder import RunFolder
from quantize.run.judging import Judged, judge
from quantize.run.losses import lost_by
from quantize.run.ratios import Ratios
from quantize.run.search import Found, Search
from quantize.run.search_section import placement_section

_LOG = logging.getLogger("quantize")


@dataclass(frozen=True)
class Settled:
    """The files that a search came to.

    Attributes:
        written: The files.
        judged: What was found for them.
        placement: Where their layers compute, and why; None where the search itself decided.
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

    def settle(self, found: Found, search: Search | None) -> Settled:
        """Return the files of the first candidate that hold what its trial promised.

        Where there is none, everything computes in float; where that was not asked for, the best files that missed are
        written, and the losses say why.

        Args:
            found: The search.
            search: What found it, places its trials and goes on where every candidate's files missed; None: a recorded
                recipe was built again.
        """
        if search is None:
            return self._written(found)
        missed: list[_Missed] = []
        tried: set[str] = set()
        while True:
            for trial in (found.chosen, *found.others):
                if trial.recipe.id in tried or (missed and not self._criterion.met(trial.metric)):
                    continue
                tried.add(trial.recipe.id)
                place = search.placed(trial)
                settled = self._settled(found, trial, place, search)
                if settled is not None:
                    return settled
                missed.append(_Missed(self._accuracy(), trial, place))
            more = search.go_on(found, frozenset(tried))
            if more is None:
                break
            found = more
        return self._after_all(found, missed, search)

    def _settled(self, found: Found, trial: Trial, place: PlacedTrial | None, search: Search) -> Settled | None:
        """Write a trial's files; None where they miss what it met."""
        now = replace(found, chosen=trial if place is None else place.trial)
        result = self._written(now, place, search)
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

    def _after_all(self, found: Found, missed: list[_Missed], search: Search) -> Settled:
        measured = next((one for one in missed if one.place is not None and _may_be_in_float(one.place)), None)
        if measured is not None:
            own = replace(measured.own, index=_index(found, measured.own.recipe.id, measured.own.index))
            place = search.in_float(own)
            return self._written(replace(found, chosen=place.trial), place, search)
        best = max(missed, key=lambda one: one.metric)
        if best is missed[-1]:
            return replace(self._last, lost=self._losses(found))
        return self._written(replace(found, chosen=best.trial(found)), best.place, search)

    def _written(self, found: Found, place: PlacedTrial | None = None, search: Search | None = None) -> Settled:
        written = write(self._context, found, self._criterion, self._selection, self._ratios, self._folder)
        judged = judge(written.context, written.built, self._criterion, written.selection)
        placement = None
        if place is not None and search is not None:
            placement = placement_section(place, search.engine, self._context.model.proto())
        return Settled(written, judged, placement, self._losses(found))

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
    taken = place.taken
    return taken is not None and taken.kind != "float"


def slower_file(written: Written, ratios: Ratios) -> float | None:
    """Return the speed-up of a written file that is slower than fp32 by the rule of the verdict, or None.

    Rewrites that were timed before may have been left out of the files.

    Args:
        written: The files.
        ratios: Journal of the run, recorded and measured times.
    """
    context, pair = written.context, written.built.pair
    for model in (pair.int8, pair.qdq):
        found = ratios.of(context.model, model, partial(measured_ratio, context, context.model, model))
        if is_slower(found):
            return found.ratio
    return None
