"""Candidates are written in turn until the files of one keep what its trial promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx
import pytest

from quantize.engines.ort.engine import OrtEngine
from quantize.engines.task import SearchTask
from quantize.engines.trial import SearchOutcome, Trial
from quantize.errors import ExitCode
from quantize.progress import ENDED, WHOLE_RUN
from quantize.report.markdown import markdown
from quantize.rewrites import Rewritten
from quantize.run import layer_check
from quantize.run.plan import REPORT
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.settle import UnopenedFilesError
from quantize.run.tune import tune
from quantize.target import CpuClass
from tests.run.colours import chosen_candidate, forgetful
from tests.run.conftest import Configured, EndedSearch, ScriptedSearch

Spoil = Callable[[int], None]


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Return a function that makes the files of the first candidates forget a colour when they are written."""

    def spoil(whole: Rewritten) -> Rewritten:
        return replace(whole, qlinear=forgetful(whole.qlinear, 1), qdq=forgetful(whole.qdq, 1))

    return partial(_damage_the_first, monkeypatch, spoil)


@pytest.fixture
def unopened(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Return a function that gives the files of the first candidates an operator that onnxruntime does not have."""

    def spoil(whole: Rewritten) -> Rewritten:
        broken = onnx.ModelProto()
        broken.CopyFrom(whole.qlinear)
        broken.graph.node[-1].op_type, broken.graph.node[-1].domain = "NoSuchOperator", "com.microsoft"
        if not any(entry.domain == "com.microsoft" for entry in broken.opset_import):
            broken.opset_import.add(domain="com.microsoft", version=1)
        return replace(whole, qlinear=broken)

    return partial(_damage_the_first, monkeypatch, spoil)


def _damage_the_first(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Rewritten], Rewritten], count: int) -> None:
    write, left = layer_check.finished, iter(range(count))

    def damaged(rewritten: Rewritten, target: CpuClass) -> Rewritten:
        whole = write(rewritten, target)
        return whole if next(left, None) is None else spoil(whole)

    monkeypatch.setattr(layer_check, "finished", damaged)


def tuned(config: Configured, model: Path, run: Path) -> TuneResult:
    return tune(TuneRequest(config(), input_model=model, output_model=run, workers=1))


def test_where_the_written_files_miss_what_the_trial_met_the_next_candidate_is_tried(
    colour_run: TuneResult,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    spoiled: Spoil,
) -> None:
    good = chosen_candidate(colour_run)
    ended_search(good, renamed(good))
    spoiled(1)
    result = tuned(configured, colour_model, tmp_path / "out")
    report = result.report
    assert result.exit_code is ExitCode.DONE
    assert report.chosen.trial == 1
    (lost,) = report.lost
    assert (lost.trial, lost.by) == (0, "writing the QLinear file")
    assert lost.trial_metric == report.trials[0].metric
    assert lost.metric is not None
    assert lost.metric < report.trials[0].metric  # type: ignore[operator]
    (sentence,) = (reason for reason in report.verdict.reasons if "lost by" in reason)
    assert sentence.startswith("Trial 1 met the criterion (")
    assert sentence.endswith("lost by writing the QLinear file. The next candidate was tried.")
    assert sentence in markdown(report)


def test_where_every_candidate_loses_it_the_report_does_not_claim_that_tuning_ended_well(
    colour_run: TuneResult,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    spoiled: Spoil,
) -> None:
    good = chosen_candidate(colour_run)
    ended_search(good, renamed(good))
    spoiled(9)
    result = tuned(configured, colour_model, tmp_path / "out")
    verdict = result.report.verdict
    assert result.exit_code is ExitCode.NOT_MET
    assert verdict.status == "not met"
    assert [lost.trial for lost in result.report.lost] == [0, 1]
    assert verdict.stopped_because == "these were all, but what was written from it does not"
    assert all((result.run / model.file).is_file() for model in result.report.models)


def test_a_candidate_that_never_met_the_criterion_has_lost_nothing(
    colour_run: TuneResult, colour_model: Path, configured: Configured, tmp_path: Path, ended_search: EndedSearch
) -> None:
    ended_search(forgetful(chosen_candidate(colour_run), 1))
    report = tuned(configured, colour_model, tmp_path / "out").report
    assert report.verdict.status == "not met"
    assert report.lost == ()


@pytest.mark.parametrize(("budget", "searches"), [(1800, 2), (1e-6, 1)])
def test_the_search_goes_on_without_the_lost_candidate_while_there_is_budget(
    colour_run: TuneResult,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    brief: None,
    spoiled: Spoil,
    monkeypatch: pytest.MonkeyPatch,
    budget: float,
    searches: int,
) -> None:
    good, asked = chosen_candidate(colour_run), list[set[str]]()

    class GoingOn(ScriptedSearch):
        def outcome(self, trials: Sequence[Trial], seconds: float) -> SearchOutcome:
            return replace(super().outcome(trials, seconds), may_go_on=True)

    def begun(_: OrtEngine, task: SearchTask) -> GoingOn:
        asked.append(set(task.rejected))
        return GoingOn(task, colour_run.report.chosen.recipe, tuple(renamed(good, at) for at in range(len(asked))))

    monkeypatch.setattr(OrtEngine, "search", begun)
    spoiled(1)
    config = configured({"tuning.time_budget": budget})
    result = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "out", workers=1))
    assert len(asked) == searches
    assert result.exit_code is (ExitCode.DONE if searches == 2 else ExitCode.NOT_MET)
    if searches == 2:
        assert asked[1] == {result.report.trials[0].recipe_id}
        assert [trial.index for trial in result.report.trials] == [0, 1]
        assert result.report.chosen.trial == 1


def renamed(model: onnx.ModelProto, number: int = 1) -> onnx.ModelProto:
    """Return the same classifier as another graph: the same answers, another hash."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    for node in copy.graph.node:
        node.doc_string = f"candidate {number}"
    copy.graph.name = f"candidate {number}"
    return copy


def test_where_onnxruntime_does_not_open_the_files_the_next_candidate_is_tried(
    colour_run: TuneResult,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    unopened: Spoil,
) -> None:
    good = chosen_candidate(colour_run)
    ended_search(good, renamed(good))
    unopened(1)
    result = tuned(configured, colour_model, tmp_path / "run")
    assert result.exit_code == 0
    (lost,) = result.report.lost
    assert (lost.trial, lost.by) == (0, "a file that onnxruntime does not open")


def test_where_onnxruntime_opens_no_candidates_files_that_is_a_bug_and_nothing_is_written(
    colour_run: TuneResult,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    unopened: Spoil,
) -> None:
    ended_search(chosen_candidate(colour_run))
    unopened(9)
    with pytest.raises(UnopenedFilesError, match="NoSuchOperator"):
        tuned(configured, colour_model, tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.onnx"))


def test_whatever_tells_how_far_it_is_belongs_to_a_stage_of_the_run(
    colour_model: Path, configured: Configured, tmp_path: Path, ended_search: EndedSearch, spoiled: Spoil
) -> None:
    """Else a log says that something is over ("after evaluate: at work") while it is going on."""
    told = list[tuple[str, int, int | None]]()
    ended_search()
    spoiled(1)
    request = TuneRequest(configured(), input_model=colour_model, output_model=tmp_path / "out", workers=1)
    result = tune(request, progress=lambda *step: told.append(step))
    stages = {stage.name for stage in result.report.stages} | {REPORT}
    under_way, outside = list[str](), set[str]()
    for name, done, total in told:
        if name in stages:
            under_way = [name] if (done, total) != ENDED else []
        elif name != WHOLE_RUN and not under_way:
            outside.add(name)
    assert "evaluate" in {name for name, _, _ in told}
    assert outside == set()
