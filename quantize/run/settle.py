"""Try candidate after candidate until the written files hold what the search promised."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from quantize.criterion import is_slower
from quantize.engines.trial import PlacedTrial, Trial
from quantize.models.session import UnopenedModelError
from quantize.report.models import FormatsSection
from quantize.report.search import LostSection, PlacementSection
from quantize.run.build import Built, build
from quantize.run.context import Context
from quantize.run.engine_task import placement_section, ratio_of
from quantize.run.folder import RunFolder
from quantize.run.judging import Judged, formats_of, judge, lost_by, metrics_of
from quantize.run.plan import HELD, TIMED
from quantize.run.search import Findings, Search

_LOG = logging.getLogger("quantize")


@dataclass(frozen=True)
class Settled:
    """The files that a search came to.

    Attributes:
        built: The files.
        judged: What was found for them.
        placement: Where their layers compute, and why; None if the search itself decided.
        lost: Trials that met the criterion, and whose files do not, in the order in which they were tried.
    """

    built: Built
    judged: Judged
    placement: PlacementSection | None = None
    lost: tuple[LostSection, ...] = ()


@dataclass(frozen=True)
class _Files:
    """Written files, not yet evaluated on all images, and where the layers of their trial compute."""

    built: Built
    formats: FormatsSection
    place: PlacedTrial | None = None
    search: Search | None = None

    def settled(self) -> Settled:
        """Return the files evaluated on all images: those that a run ends with, and no others."""
        placement = None
        if self.place is not None and self.search is not None:
            placement = placement_section(self.place, self.search.engine, self.built.context.model.proto())
        return Settled(self.built, judge(self.built, self.formats), placement)


@dataclass(frozen=True)
class _Attempt:
    """A trial, where its layers compute, its files, and what they lost of what the trial met; None: nothing."""

    trial: Trial
    files: _Files
    lost: LostSection | None
    metric: float = 0.0
    """The lower metric of both files, where they lost something."""


class UnopenedFilesError(RuntimeError):
    """onnxruntime opens no candidate's files."""


def settle(context: Context, findings: Findings, search: Search | None, folder: RunFolder | None = None) -> Settled:
    """Return the files of the first candidate, in the engine's order of preference, that hold what its trial promised.

    If no candidate does, everything computes in float; if that was not requested, the best files that missed are
    written, and the losses say why.

    Args:
        context: The run.
        findings: The search.
        search: What found it, places its trials and continues if every candidate's files missed; None: a recorded
            recipe was built again.
        folder: Where the files go; None: where the run's go.

    Raises:
        UnopenedFilesError: onnxruntime opens no candidate's files, which is a bug.
    """
    if search is None:
        return _written(context, findings, folder).settled()
    missed: dict[str, _Attempt] = {}
    unopened: dict[str, LostSection] = {}
    last: UnopenedModelError | None = None
    while True:
        for trial in (findings.chosen, *findings.others):
            tried = {*missed, *unopened}
            if trial.recipe.id in tried or (tried and not context.criterion.met(trial.metric)):
                continue
            try:
                attempt = _attempt(context, findings, trial, search, folder)
            except UnopenedModelError as error:
                _LOG.warning("trial %d: onnxruntime does not open its files: %s", trial.index + 1, error)
                unopened[trial.recipe.id], last = _unopened(trial), error
                continue
            if attempt.lost is None:
                return replace(attempt.files.settled(), lost=_losses(findings, missed, unopened))
            missed[trial.recipe.id] = attempt
        more = search.go_on(findings, frozenset({*missed, *unopened}))
        if more is None:
            break
        findings = more
    if last is not None and not missed:
        raise UnopenedFilesError(str(last)) from last
    files = _after_all(context, findings, list(missed.values()), search, folder)
    return replace(files.settled(), lost=_losses(findings, missed, unopened))


def _attempt(context: Context, findings: Findings, trial: Trial, search: Search, folder: RunFolder | None) -> _Attempt:
    """Write a trial's files, and see what they lost."""
    place = search.placed(trial)
    chosen = trial if place is None else place.trial
    files = _written(context, replace(findings, chosen=chosen), folder, place, search)
    met = context.criterion.met(trial.metric) if place is None else place.met
    if not met:
        return _Attempt(trial, files, None)  # nothing was promised, so nothing was lost
    with context.stages.stage(HELD):
        lost = lost_by(files.built, files.formats)
    speedup = _slower(context, files.built, place) if lost is None else None
    if lost is None and speedup is None:
        return _Attempt(trial, files, None)
    metric, by = lost or (None, "rewrites that had been timed and are not in the files")
    _LOG.warning("trial %d met the criterion, its written files do not: lost by %s", trial.index + 1, by)
    section = LostSection(
        trial=trial.index,
        recipe_id=chosen.recipe.id,
        trial_metric=chosen.metric,
        metric=metric,
        by=by,
        speedup=speedup,
    )
    lower = 0.0 if context.criterion.metric == "none" else min(metrics_of(files.built))
    return _Attempt(trial, files, section, lower)


def _after_all(
    context: Context, findings: Findings, missed: list[_Attempt], search: Search, folder: RunFolder | None
) -> _Files:
    """Return the files to write when those of every candidate missed."""

    def numbered(trial: Trial, own: Trial) -> Trial:
        return replace(trial, index=_index(findings, own.recipe.id, own.index))

    measured = next((attempt for attempt in missed if _may_be_in_float(attempt.files.place)), None)
    if measured is not None:
        place = search.in_float(numbered(measured.trial, measured.trial))
        return _written(context, replace(findings, chosen=place.trial), folder, place, search)
    best = max(missed, key=lambda attempt: attempt.metric)
    if best is missed[-1]:
        return best.files
    before = best.files.place
    chosen = numbered(best.trial if before is None else before.trial, best.trial)
    return _written(context, replace(findings, chosen=chosen), folder, before, search)


def _written(
    context: Context,
    findings: Findings,
    folder: RunFolder | None,
    place: PlacedTrial | None = None,
    search: Search | None = None,
) -> _Files:
    built = build(context, findings, folder)
    return _Files(built, formats_of(built), place, search)


def _losses(
    findings: Findings, missed: Mapping[str, _Attempt], unopened: Mapping[str, LostSection]
) -> tuple[LostSection, ...]:
    lost = {**{recipe_id: attempt.lost for recipe_id, attempt in missed.items()}, **unopened}
    return tuple(
        section.model_copy(update={"trial": _index(findings, recipe_id, section.trial)})
        for recipe_id, section in lost.items()
        if section is not None
    )


def _unopened(trial: Trial) -> LostSection:
    return LostSection(
        trial=trial.index,
        recipe_id=trial.recipe.id,
        trial_metric=trial.metric,
        metric=None,
        by="a file that onnxruntime does not open",
    )


def _index(findings: Findings, recipe_id: str, known: int) -> int:
    """Return a trial's number: a search that went on counts those anew that could be used again.

    Args:
        findings: The search.
        recipe_id: What was tried.
        known: Its number before; it stays where the trial was built anew, from a recipe of another id.
    """
    return next((section.index for section in findings.sections if section.recipe_id == recipe_id), known)


def _may_be_in_float(place: PlacedTrial | None) -> bool:
    """Return whether placements were measured, and float arithmetic was not what missed."""
    return place is not None and place.taken is not None and place.taken.kind != "float"


def _slower(context: Context, built: Built, place: PlacedTrial | None) -> float | None:
    """Return the speed-up of a file that is slower than fp32, where its placement was measured and was not.

    It is slower by the rule of the verdict: rewrites that were timed before may have been left out of the files.
    """
    asked = context.config.tuning.speed_criterion.min_speedup
    if not _may_be_in_float(place) or not 0 < asked <= 1:
        return None
    with context.stages.stage(TIMED):
        return slower_file(built)


def slower_file(built: Built) -> float | None:
    """Return the speed-up of a written file that is slower than fp32 by the rule of the verdict, or None."""
    for model in (built.pair.int8, built.pair.qdq):
        ratio = ratio_of(built.context, built.context.whole, model, beside=1.0)
        if is_slower(ratio):
            return ratio.ratio
    return None
