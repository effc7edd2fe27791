from __future__ import annotations

from quantize.engines.native.search.result import Candidate, SearchResult, Timed
from quantize.engines.protocols import Failure, Trial
from quantize.recipe import Recipe
from quantize.report.trials import TrialSection
from quantize.run.search import Found
from quantize.run.search_section import search_section, with_verdicts


def _result(*candidates: Candidate, timed: tuple[Timed, ...] = ()) -> SearchResult:
    return SearchResult(candidates, None, candidates[0], (), "search finished", None, (), {"build": 1.0}, timed)


def _candidate(trial: Trial, *, met: bool) -> Candidate:
    return Candidate(trial, met, 2.5, 100.0, 110.0, "ladder", images=64, complete=False)


def test_a_trial_is_met_where_its_race_says_so_whatever_the_share_of_the_images_seen() -> None:
    trial = Trial(0, Recipe(engine="native"), None, 0.7, 1.0, Failure("quantize", "none"))
    section = TrialSection(
        index=0,
        recipe_id=trial.recipe.id,
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
    found = Found(trials=(trial,), sections=(section,), chosen=trial, stopped_because="", seconds=1.0)
    (told,) = with_verdicts(found, _result(_candidate(trial, met=False))).sections
    assert (told.met, told.speedup) == (False, 2.5)


def test_what_was_timed_only_is_told_with_the_step_that_it_came_from() -> None:
    trial = Trial(0, Recipe(engine="native"), None, 0.7, 1.0, Failure("quantize", "none"))
    timed = (Timed("a", "ladder", 100.0, 110.0, 2.0), Timed("b", "neighbour", 100.0, 110.0, 2.0))
    section = search_section(_result(_candidate(trial, met=True), timed=timed), images=400)
    assert [(one.trial, one.step) for one in section.candidates] == [
        (0, "ladder"),
        (None, "ladder"),
        (None, "neighbour"),
    ]
