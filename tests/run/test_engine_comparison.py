"""Both engines in one run on the small classifier: compared, the better one kept, and resumed after a kill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace as Stand
from typing import Any

import onnx
import pytest

from quantize.commands.verify import verify
from quantize.config import load_config
from quantize.criterion import Criterion, SpeedCriterion
from quantize.engines.inc.engine import IncSearch
from quantize.engines.native.engine import NativeSearch
from quantize.errors import EngineError
from quantize.files import write_text
from quantize.graph.identity import graph_sha256
from quantize.report.criterion import VerdictSection
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.models import FormatsSection
from quantize.report.schema import EngineSection, RunReport
from quantize.report.search_tables import engines_table
from quantize.report.storage import read_report
from quantize.report.text import summary
from quantize.rewrites import RatioInterval
from quantize.run import engine_comparison as both_engines
from quantize.run import judging
from quantize.run.export import Pair, compare_formats
from quantize.run.judging import Judged
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.settle import Settled
from quantize.run.tune import tune
from tests.run.conftest import Configured, EndedSearch

pytestmark = pytest.mark.inc


@pytest.fixture(scope="module")
def both(colour_model: Path, configured: Configured, tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    pytest.importorskip("neural_compressor")
    run = tmp_path_factory.mktemp("both") / "out"
    request = TuneRequest(configured({"tuning.engine": "both"}), input_model=colour_model, output_model=run, workers=1)
    return tune(request)


def test_both_engines_are_in_the_report_under_one_criterion(both: TuneResult) -> None:
    report = both.report
    assert report.engine == "both"
    assert [engine.engine for engine in report.engines] == ["inc", "native"]
    assert [engine.written for engine in report.engines].count(True) == 1
    (written,) = (engine for engine in report.engines if engine.written)
    assert written.models == report.models
    assert written.engine == report.chosen.recipe.engine
    for engine in report.engines:
        assert {trial.recipe_id for trial in engine.trials}
        assert engine.seconds > 0
        assert engine.peak_bytes is not None
        assert engine.peak_bytes > 50e6
        assert all(model.deciding.top1 is not None for model in engine.models)


def test_the_models_of_both_were_timed_in_one_measurement(both: TuneResult) -> None:
    measurement = both.report.measurement
    assert measurement is not None
    names = {name for engine in both.report.engines for name in engine.measured.values()}
    assert len(names) == 4
    assert names | {"fp32"} == set(measurement.plan.models)
    assert names == set(measurement.names("candidate"))


def test_the_other_engines_models_lie_in_a_folder_of_its_name(both: TuneResult) -> None:
    (other,) = (engine for engine in both.report.engines if not engine.written)
    for section in (*both.report.models, *other.models):
        model = onnx.load(both.run / section.file)
        assert graph_sha256(model) == section.graph_sha256
        said = {entry.key: entry.value for entry in model.metadata_props}
        expected = other if section in other.models else both.report
        assert said["quantize.recipe_id"] == expected.chosen.recipe_id
    assert {Path(section.file).parent.name for section in other.models} == {other.engine}
    assert not (both.run / both.report.chosen.recipe.engine).exists()


def _other(report: RunReport) -> EngineSection:
    return next(engine for engine in report.engines if not engine.written)


@pytest.mark.parametrize("named", [True, False])
def test_the_models_of_both_engines_are_those_of_their_report(
    both: TuneResult, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    for section in (*both.report.models, *_other(both.report).models):
        file = both.run / section.file
        monkeypatch.chdir(file.parent)
        lines = verify(Path(file.name), report=both.run if named else None, repeat=False).lines
        assert {line.verdict for line in lines} == {"pass"}, section.file


def test_the_other_engines_model_is_repeated_bit_for_bit(both: TuneResult) -> None:
    line = verify(both.run / _other(both.report).models[0].file).lines[-1]
    assert (line.name, line.verdict) == ("verify.repeat", "pass")


def test_the_other_engines_model_replacing_the_better_one_is_reported(both: TuneResult, tmp_path: Path) -> None:
    run = Path(shutil.copytree(both.run, tmp_path / "run", ignore=shutil.ignore_patterns("work")))
    own, other = both.report.models[0], _other(both.report).models[0]
    assert own.graph_sha256 != other.graph_sha256
    shutil.copy(run / other.file, run / own.file)
    verdicts = {line.name: line.verdict for line in verify(run / own.file, repeat=False).lines}
    assert (verdicts["verify.file"], verdicts["verify.metadata"]) == ("fail", "fail")


@pytest.mark.parametrize(("metric", "heading"), [("top1", "top-1"), ("agreement", "agreement"), ("none", "agreement")])
def test_the_column_is_named_by_what_it_holds(both: TuneResult, metric: str, heading: str) -> None:
    criterion = both.report.criterion.model_copy(update={"metric": metric})
    table = engines_table(both.report.model_copy(update={"criterion": criterion}))
    assert table is not None
    assert table.columns[2] == heading


@pytest.mark.parametrize("draw", [markdown, html, summary])
def test_every_report_compares_the_engines(both: TuneResult, draw: Callable[[RunReport], str]) -> None:
    text = draw(both.report)
    for word in ("Engines side by side", "Neural Compressor took", "peak memory", "inc int8", "native qdq"):
        assert word in text


def test_the_native_search_is_reported_candidate_by_candidate(both: TuneResult) -> None:
    native = both.report.engines[1]
    assert native.search is not None
    assert native.search.images == both.report.data.evaluation
    evaluated = [candidate for candidate in native.search.candidates if candidate.trial is not None]
    assert [candidate.recipe_id for candidate in evaluated] == [trial.recipe_id for trial in native.trials]
    assert any(candidate.pareto for candidate in evaluated)
    assert all(0 < candidate.images <= native.search.images for candidate in evaluated)
    timed = [candidate for candidate in native.search.candidates if candidate.measured_ns is not None]
    assert timed
    assert len(native.search.prediction_errors) == len(
        [candidate for candidate in timed if candidate.predicted_ns is not None]
    )
    assert native.search.median_error is not None
    assert {"calibrate", "choose recipe", "sensitivity", "build", "evaluate", "measure", "profile"} == {
        stage.name for stage in native.search.stages
    }
    text = markdown(both.report.model_copy(update={"search": native.search}))
    for words in (
        "Times predicted from one profile were off by",
        "in the median",
        "Images seen: of 72",
        "Native search: time by stage",
    ):
        assert words in text


def test_the_journal_holds_the_end_of_each_search(both: TuneResult) -> None:
    lines = [json.loads(line) for line in (both.run / "trials.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "step" in line]
    assert [step for step in steps if step.startswith("searched")] == ["searched inc", "searched native"]
    assert len(steps) == len(set(steps))


@pytest.mark.parametrize("changed", [False, True])
def test_overwriting_takes_away_the_other_engines_models_unless_they_were_changed_since(
    both: TuneResult,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    changed: bool,
) -> None:
    run = Path(shutil.copytree(both.run, tmp_path / "out"))
    first, second = (run / section.file for section in _other(both.report).models)
    if changed:
        second.write_bytes(b"another model under the same name")
    ended_search()
    tune(TuneRequest(configured(), input_model=colour_model, output_model=run, overwrite=True, workers=1))
    assert not first.exists()
    assert second.exists() is second.parent.exists() is changed


@pytest.mark.usefixtures("brief")
def test_a_killed_run_goes_on_without_searching_again_and_keeps_what_else_is_there(
    both: TuneResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "out"
    shutil.copytree(both.run, run)
    (run / "report.json").unlink()
    journal = run / "trials.jsonl"
    before = journal.read_text()
    mine = [run / engine / "mine.txt" for engine in ("inc", "native")]
    for file in mine:
        write_text(file, "the user's own")
    judged: list[Path] = []

    def counted(pair: Pair, *given: Any, **named: Any) -> FormatsSection:
        judged.append(pair.int8.path)
        return compare_formats(pair, *given, **named)

    monkeypatch.setattr(judging, "compare_formats", counted)
    monkeypatch.setattr(IncSearch, "trials", lambda *_: pytest.fail("Neural Compressor searched again"))
    again = tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run, workers=1))
    assert journal.read_text() == before
    assert [file.read_text() for file in mine] == ["the user's own"] * 2
    assert judged == [run / engine / both.report.models[0].file for engine in ("inc", "native")]
    assert again.report.chosen == both.report.chosen
    for first, second in zip(both.report.engines, again.report.engines, strict=True):
        assert [model.graph_sha256 for model in first.models] == [model.graph_sha256 for model in second.models]
        assert (first.seconds, first.peak_bytes) == (second.seconds, second.peak_bytes)
    assert read_report(run / "report.json") == again.report


@pytest.mark.usefixtures("brief")
def test_where_one_engine_gives_no_model_the_run_is_the_others_and_says_so(
    colour_model: Path, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise EngineError("no trial gave a model")

    monkeypatch.setattr(IncSearch, "trials", fails)
    request = TuneRequest(
        configured({"tuning.engine": "both"}), input_model=colour_model, output_model=tmp_path / "out", workers=1
    )
    report = tune(request).report
    assert report.chosen.recipe.engine == "native"
    assert "The engine 'inc' gave no model: no trial gave a model." in report.verdict.reasons
    assert report.engines == ()
    monkeypatch.setattr(NativeSearch, "trials", fails)
    with pytest.raises(EngineError):
        tune(replace(request, output_model=tmp_path / "none"))


def _side(engine: str, status: str, *, kl: float, top1: float) -> Any:
    evaluation = Stand(fidelity=Stand(mean_kl=kl), accuracy=Stand(expected=top1))
    judged = Stand(verdict=Stand(status=status, accuracy=status), models=[Stand(deciding=Stand(evaluation=evaluation))])
    built = Stand(context=None, pair=Stand(int8=engine, qdq=engine))
    return both_engines._Side(engine, Stand(built=built, judged=judged))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "ratio", "best", "why"),
    [
        (("met", "met"), (1.02, 1.05), "native", "faster"),
        (("met", "met"), (0.92, 0.95), "inc", "faster"),
        (("met", "met"), (0.99, 1.02), "inc", "nearer to fp32's scores"),
        (("inconclusive", "met"), (0.5, 0.6), "native", "alone meet"),
        (("inconclusive", "not met"), (1.5, 1.6), "inc", "miss"),
        (("inconclusive", "inconclusive"), (0.92, 0.95), "inc", "faster"),
        (("inconclusive", "inconclusive"), (0.99, 1.02), "inc", "nearer to fp32's scores"),
        (("not asked", "not asked"), (1.02, 1.05), "native", "faster"),
        (("not met", "not met"), (0.5, 0.6), "native", "nearer to it"),
    ],
)
def test_the_better_models_are_chosen_by_criterion_then_speed_then_nearness_to_fp32(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[str, str], ratio: tuple[float, float], best: str, why: str
) -> None:
    low, high = ratio
    measured = RatioInterval(low=low, ratio=(low + high) / 2, high=high)
    monkeypatch.setattr(both_engines, "rewrite_ratio", lambda *_: measured)
    context: Any = Stand(config=Stand(model=Stand(framework="onnxrt_qlinearops")))
    sides = [_side("inc", statuses[0], kl=0.01, top1=0.7), _side("native", statuses[1], kl=0.02, top1=0.8)]
    side, reason = both_engines._best(context, sides)
    assert side.engine == best
    assert why in reason


@pytest.mark.parametrize(
    ("cpu_class", "least", "status", "measured", "expected"),
    [
        ("vnni", 1.0, "met", 0.7, "not met"),
        ("vnni", 1.0, "met", 1.3, "met"),
        ("vnni", 1.0, "inconclusive", 0.7, "not met"),
        ("vnni", 2.0, "met", 1.3, "not met"),
        ("vnni", 0.0, "met", 0.7, "met"),  # no speed is asked for
        ("avx2", 1.0, "met", 0.7, "met"),  # nor on CPUs that the models are not for
        ("vnni", 1.0, "not met", 1.3, "not met"),
    ],
)
def test_an_engine_whose_models_are_slower_than_fp32_misses_the_criterion(
    monkeypatch: pytest.MonkeyPatch, cpu_class: str, least: float, status: str, measured: float, expected: str
) -> None:
    monkeypatch.setenv("QUANTIZE_CPU_CLASS", cpu_class)
    ratio = RatioInterval(low=measured - 0.01, ratio=measured, high=measured + 0.01)
    monkeypatch.setattr(both_engines, "rewrite_ratio", lambda *_: ratio)
    tuning = Stand(speed=SpeedCriterion(min_speedup=least))
    config = Stand(tuning=tuning, model=Stand(framework="onnxrt_qlinearops"))
    context: Any = Stand(config=config, whole="fp32", criterion=Criterion("top1", baseline=0.8, relative=0.01))
    verdict = VerdictSection.model_validate({"status": status, "text": "", "reasons": (), "stopped_because": ""})
    nothing: Any = None
    built: Any = Stand(context=context, chosen=Stand(target="vnni"), pair=Stand(int8="int8", qdq="qdq"))
    side = both_engines._Side("inc", Settled(built, Judged(nothing, (), nothing, verdict)))
    assert both_engines._with_speed(context, side).verdict.status == expected
