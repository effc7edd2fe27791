"""From a native search to what the report says of it."""

from __future__ import annotations

from dataclasses import replace

from quantize.engines.native.search.result import Candidate, SearchResult
from quantize.report.search import CandidateSection, ComparedSection, SearchSection
from quantize.report.stages import StageSection
from quantize.run.search import Found


def search_section(result: SearchResult, images: int) -> SearchSection:
    """Return what the report says of a search on so many evaluation images."""
    front = {one.trial.index for one in result.pareto}
    evaluated = [_candidate(one, pareto=one.trial.index in front) for one in result.candidates]
    timed = [
        CandidateSection(
            trial=None,
            recipe_id=one.recipe_id,
            step=one.stage,
            predicted_ns=one.predicted_ns,
            measured_ns=one.measured_ns,
            speedup=one.speedup,
            images=0,
            met=None,
            pareto=False,
        )
        for one in result.timed
    ]
    return SearchSection(
        stopped=result.stopped,
        images=images,
        candidates=(*evaluated, *timed),
        compared=tuple(ComparedSection(recipe=name, mean_kl=kl) for name, kl in result.fidelity),
        stages=tuple(StageSection(name=name, seconds=seconds) for name, seconds in result.seconds.items()),
    )


def with_verdicts(found: Found, result: SearchResult) -> Found:
    """Return what was found with the speed-up of every trial that was timed, and the verdict of its race.

    The metric of a race that ended early is one of fewer images, and does not tell the verdict.
    """
    known = {one.trial.recipe.id: {"speedup": one.speedup, "met": one.met} for one in result.candidates}
    sections = tuple(one.model_copy(update=known.get(one.recipe_id, {})) for one in found.sections)
    return replace(found, sections=sections)


def _candidate(one: Candidate, *, pareto: bool) -> CandidateSection:
    return CandidateSection(
        trial=one.trial.index,
        recipe_id=one.trial.recipe.id,
        step=one.stage,
        predicted_ns=one.predicted_ns,
        measured_ns=one.measured_ns,
        speedup=one.speedup,
        images=one.images,
        met=one.met,
        pareto=pareto,
    )
