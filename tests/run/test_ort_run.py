"""Runs of onnxruntime's own quantizer on the small classifier, alone and next to the other engines."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import onnx
import pytest

from quantize.config import load_config
from quantize.engines.engine import missing_engines
from quantize.engines.ort.quantizer import Quantizer
from quantize.errors import ExitCode
from quantize.report.markdown import markdown
from quantize.report.storage import read_report
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.conftest import Configured


@pytest.fixture(scope="module")
def ort_run(colour_model: Path, configured: Configured, tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    config = configured({"tuning.engine": "ort", "rewrites": "default"})
    run = tmp_path_factory.mktemp("ort") / "out"
    return tune(TuneRequest(config, input_model=colour_model, output_model=run, workers=1))


def test_a_run_writes_both_formats_and_says_which_engine_made_them(ort_run: TuneResult) -> None:
    report = ort_run.report
    assert ort_run.exit_code is ExitCode.DONE
    assert (report.engine, report.chosen.recipe.engine) == ("ort", "ort")
    assert (report.chosen.int8_layers, report.chosen.layers) == (2, 2)
    assert report.model("int8").ops["QLinearConv"] == 2
    for model in report.models:
        said = {entry.key: entry.value for entry in onnx.load(ort_run.run / model.file).metadata_props}
        assert said["quantize.engine"] == "ort"
    assert report.placement is not None
    assert report.placement.reason == "as onnxruntime decided"
    assert "scores" in report.chosen.recipe.corrections
    assert read_report(ort_run.run / "report.json") == report
    assert sorted(path.name for path in (ort_run.run / "work" / "candidates").iterdir()) == [
        f"{report.trials[0].recipe_id}.onnx"
    ]


@pytest.mark.usefixtures("brief")
def test_a_replay_builds_the_same_models(ort_run: TuneResult, configured: Configured, tmp_path: Path) -> None:
    request = TuneRequest(configured(), replay=ort_run.run / "report.json", output_model=tmp_path / "again", workers=1)
    report = tune(request).report
    assert report.replay is not None
    assert report.replay.outcome == "same"


@pytest.mark.usefixtures("brief")
def test_a_killed_run_goes_on_without_trying_again(
    ort_run: TuneResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(ort_run.run, tmp_path / "out"))
    (run / "report.json").unlink()
    monkeypatch.setattr(Quantizer, "build", lambda *_: pytest.fail("quantized again"))
    again = tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run, workers=1))
    assert again.report.trials == ort_run.report.trials
    assert [model.graph_sha256 for model in again.report.models] == [
        model.graph_sha256 for model in ort_run.report.models
    ]


@pytest.mark.usefixtures("brief")
def test_a_target_whose_sums_must_not_saturate_gets_a_model_in_which_none_can(
    colour_model: Path, configured: Configured, tmp_path: Path
) -> None:
    config = configured({"tuning.engine": "ort", "quantization.target": "any"})
    report = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "out", workers=1)).report
    assert report.chosen.recipe.reduce_range
    assert report.chosen.saturating_layers == 0


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("contract", ["uint8-nhwc", "imagenet"])
def test_the_models_take_the_input_that_was_asked_for(
    colour_model: Path, configured: Configured, tmp_path: Path, contract: str
) -> None:
    config = configured({"tuning.engine": "ort", "input_contract": contract})
    result = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "out", workers=1))
    assert result.exit_code is ExitCode.DONE
    assert result.report.input_contract is not None
    assert result.report.input_contract.predictions_changed == 0


@pytest.fixture(scope="module")
def all_run(colour_model: Path, configured: Configured, tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    """Return a run of every engine except Neural Compressor, as if that were not installed."""
    spec = importlib.util.find_spec
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None if name == "neural_compressor" else spec(name))
        assert list(missing_engines()) == ["inc"]
        run = tmp_path_factory.mktemp("all") / "out"
        request = TuneRequest(
            configured({"tuning.engine": "all"}), input_model=colour_model, output_model=run, workers=1
        )
        return tune(request)


def test_all_installed_engines_are_compared_and_the_missing_one_is_reported(all_run: TuneResult) -> None:
    report = all_run.report
    assert report.engine == "all"
    assert [engine.engine for engine in report.engines] == ["native", "ort"]
    assert [engine.written for engine in report.engines].count(True) == 1
    (reason,) = (reason for reason in report.verdict.reasons if "not installed" in reason)
    assert reason.startswith("The engine 'inc' is not installed: ")
    (other,) = (engine for engine in report.engines if not engine.written)
    for section in other.models:
        assert (all_run.run / section.file).parent.name == other.engine
    assert report.measurement is not None
    assert set(report.measurement.plan.models) == {"fp32", "int8", "qdq", f"{other.engine} int8", f"{other.engine} qdq"}
    text = markdown(report)
    for words in ("Engines side by side", "native took", "onnxruntime took", "onnxruntime's is one of its own, beside"):
        assert words in text


def test_the_journal_holds_the_end_of_each_search_by_name(all_run: TuneResult) -> None:
    lines = [json.loads(line) for line in (all_run.run / "trials.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "step" in line]
    assert [step for step in steps if step.startswith("searched")] == ["searched native", "searched ort"]
