"""The CPUs that a model is for: this machine's class by default, decided once, and kept by the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from quantize.commands.benchmark import benchmark
from quantize.commands.benchmark_subjects import BenchmarkRequest
from quantize.config import load_config
from quantize.evaluation import evaluate
from quantize.evaluation.inference import open_scores
from quantize.formats.saturation import saturating_layers
from quantize.journal import recorded_request
from quantize.measurement.machine.cpu_class import CPU_CLASS
from quantize.models.artifact import ModelArtifact
from quantize.report.benchmark_text import benchmark_text
from quantize.report.text import summary
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.colours import chosen_candidate
from tests.run.conftest import Configured, EndedSearch


@pytest.mark.usefixtures("brief")
def test_the_class_is_in_the_settings_the_request_and_the_report(
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(CPU_CLASS, "arm64")
    run = tmp_path / "run"
    config = configured({"tuning.engine": "native"})
    with caplog.at_level("INFO", logger="quantize"):
        report = tune(TuneRequest(config, input_model=colour_model, output_model=run, workers=1)).report
    assert caplog.messages[0] == "target: arm64, this machine's class of CPUs"
    assert load_config(run / "config.yaml", {}).quantization.target == "arm64"
    assert recorded_request(run / "trials.jsonl")["target"] == "arm64"
    assert (report.chosen.target, report.provenance.cpu_class) == ("arm64", "arm64")
    assert report.measured_on_target
    # Another machine repeats it for the same CPUs, and says that it is none of them.
    monkeypatch.setenv(CPU_CLASS, "vnni")
    again = tune(TuneRequest(configured(), output_model=tmp_path / "again", replay=run, workers=1)).report
    assert again.replay is not None
    assert (again.chosen.target, again.provenance.cpu_class, again.replay.outcome) == ("arm64", "vnni", "same")
    assert not again.measured_on_target
    assert "Measured on a CPU of class vnni." in again.cpus


@pytest.mark.parametrize(("target", "engine"), [("avx2", "inc"), ("any", "native"), ("arm64", "native")])
@pytest.mark.usefixtures("brief", "fast_integers")
def test_models_for_cpus_without_vnni_cannot_saturate(
    target: str, engine: str, colour_model: Path, configured: Configured, tmp_path: Path
) -> None:
    config = configured({"quantization.target": target, "tuning.engine": engine})
    result = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run", workers=1))
    for model in result.report.models:
        assert saturating_layers(ModelArtifact.load(result.run / model.file).proto()) == ()
    chosen = result.report.chosen
    assert (chosen.target, chosen.saturating_layers, chosen.recipe.reduce_range) == (target, 0, True)
    assert "no sum of integer products can saturate" in " ".join(summary(result.report).split())


@pytest.mark.usefixtures("brief", "fast_integers")
def test_models_for_cpus_with_vnni_say_what_happens_on_others(
    colour_model: Path, configured: Configured, tmp_path: Path
) -> None:
    config = configured({"quantization.target": "vnni", "tuning.engine": "native"})
    report = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run", workers=1)).report
    chosen = report.chosen
    assert (chosen.target, chosen.recipe.reduce_range) == ("vnni", False)
    assert chosen.saturating_layers == 2
    assert "can saturate in 2 layers" in " ".join(summary(report).split())


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("engine", ["inc", "native"])
def test_a_run_for_other_cpus_evaluates_everything_in_exact_sessions_and_one_for_these_nothing(
    engine: str, colour_model: Path, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bool] = []

    def spied(model: ModelArtifact, *, exact: bool) -> Any:
        opened.append(exact)
        return open_scores(model, exact=exact)

    monkeypatch.setattr(evaluate, "open_scores", spied)
    monkeypatch.setenv(CPU_CLASS, "avx2")
    for target, exact in (("vnni", True), ("avx2", False)):
        config = configured({"quantization.target": target, "tuning.engine": engine})
        run = tmp_path / target
        tune(TuneRequest(config, input_model=colour_model, output_model=run, workers=1))
        assert set(opened) == {exact}
        opened.clear()
        # What the run recorded counts, unless another target is named.
        request = BenchmarkRequest(
            load_config(None, {}), input_model=run / "colours-13-int8.onnx", mode="accuracy", workers=1
        )
        assert (benchmark(request).target, set(opened)) == (target, {exact})
        opened.clear()
        named = load_config(None, {"quantization.target": "avx2"})
        report = benchmark(replace(request, config=named))
        assert (report.target, report.cpu_class, report.elsewhere, set(opened)) == ("avx2", "avx2", None, {False})
        opened.clear()


def test_a_benchmark_says_whose_accuracy_it_measures(colour_run: TuneResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CPU_CLASS, "any")
    model = colour_run.run / "colours-13-int8.onnx"
    config = load_config(None, {"quantization.target": "vnni"})
    report = benchmark(BenchmarkRequest(config, input_model=model, mode="accuracy", workers=1))
    assert report.elsewhere is not None
    assert "accuracy is measured in exact sessions" in " ".join(benchmark_text(report).split())
    assert "latencies" not in report.elsewhere


def test_accuracy_of_a_model_for_other_cpus_is_reported_as_theirs(colour_run: TuneResult) -> None:
    report = colour_run.report
    elsewhere = report.model_copy(
        update={
            "chosen": report.chosen.model_copy(update={"target": "vnni"}),
            "provenance": report.provenance.model_copy(update={"cpu_class": "avx2"}),
        }
    )
    assert "accuracy in exact sessions, which compute as the target does" in " ".join(summary(elsewhere).split())
    assert "exact sessions" not in summary(report)


def test_whatever_made_a_candidate_that_could_saturate_its_files_for_such_cpus_cannot(
    colour_model: Path, configured: Configured, ended_search: EndedSearch, tmp_path: Path
) -> None:
    for_vnni = TuneRequest(
        configured({"quantization.target": "vnni"}), input_model=colour_model, output_model=tmp_path / "vnni", workers=1
    )
    candidate = chosen_candidate(tune(for_vnni))
    assert saturating_layers(candidate)
    ended_search(candidate)
    config = configured({"quantization.target": "any"})
    result = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run", workers=1))
    assert result.report.chosen.saturating_layers == 0
    for model in result.report.models:
        written = ModelArtifact.load(result.run / model.file).proto()
        assert saturating_layers(written) == ()
        assert any(
            tensor.data_type == TensorProto.UINT8 and len(tensor.dims) == 4 for tensor in written.graph.initializer
        )
