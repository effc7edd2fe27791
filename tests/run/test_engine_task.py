from __future__ import annotations

from quantize.engines.native.engine import record_of
from quantize.engines.native.search.result import Candidate, SearchResult
from quantize.engines.trial import CandidateRecord, Failure, SearchOutcome, Trial
from quantize.recipe import Recipe
from quantize.report.trials import TrialSection
from quantize.run.engine_task import search_section
from quantize.run.trials import with_verdicts

TRIAL = Trial(0, Recipe(engine="native"), None, 0.7, 1.0, Failure("quantize", "none"))


def _result(*, met: bool, timed: tuple[CandidateRecord, ...] = ()) -> SearchResult:
    candidate = Candidate(TRIAL, "ladder", met, 2.5, 100.0, 110.0, images=64)
    return SearchResult((candidate,), None, candidate, (), "search finished", None, (), {"build": 1.0}, timed)


def test_a_trial_is_met_if_its_race_says_so_whatever_the_share_of_the_images_seen() -> None:
    section = TrialSection(
        index=0,
        recipe_id=TRIAL.recipe.id,
        metric=0.7,
        met=True,
        agreement=None,
        mean_kl=None,
        integer_share=None,
        speedup=None,
        seconds=1.0,
        graph_sha256=None,
        failure=None,
    )
    (candidate,) = with_verdicts([section], record_of(_result(met=False)))
    assert (candidate.met, candidate.speedup) == (False, 2.5)


def test_what_was_only_timed_is_reported_with_the_step_that_it_came_from() -> None:
    timed = (CandidateRecord("a", "ladder", 100.0, 110.0, 2.0), CandidateRecord("b", "neighbour", 100.0, 110.0, 2.0))
    record = record_of(_result(met=True, timed=timed))
    section = search_section(SearchOutcome(TRIAL, "search finished", 1.0, record=record), images=400)
    assert section is not None
    assert [(candidate.trial, candidate.step) for candidate in section.candidates] == [
        (0, "ladder"),
        (None, "ladder"),
        (None, "neighbour"),
    ]
    assert [stage.name for stage in section.stages] == ["build"]


def test_a_search_that_measured_no_times_has_no_section_of_its_own() -> None:
    assert search_section(SearchOutcome(TRIAL, "the trials were used up", 1.0), images=400) is None
