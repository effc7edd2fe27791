"""The CPUs that a model is for: this machine's class unless said otherwise, decided once, and kept by the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantize.api.request import TuneRequest
from quantize.api.target import target_in_words, with_recorded_target, with_target
from quantize.api.tune import tune
from quantize.benchmark.cpu_class import CPU_CLASS
from quantize.config import load_config
from quantize.errors import ConfigError
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact
from quantize.report.text import summary
from quantize.target import CPU_CLASSES
from tests.api.conftest import Configured, EndedSearch

pytestmark = pytest.mark.inc


@pytest.mark.parametrize("cpu_class", CPU_CLASSES)
def test_auto_is_this_machines_class(cpu_class: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CPU_CLASS, cpu_class)
    config = with_target(load_config(None, {}))
    assert config.quantization.target == config.quantization.cpus == cpu_class
    assert config.quantization.narrow_weights == (cpu_class != "vnni")
    assert target_in_words(config) == f"target: {cpu_class}, this machine's class of CPUs"


@pytest.mark.parametrize("target", CPU_CLASSES)
def test_what_is_said_wins_over_the_machine(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CPU_CLASS, "arm64" if target == "any" else "any")
    config = with_target(load_config(None, {"quantization.target": target}))
    assert config.quantization.cpus == target
    assert f"target: {target}; this machine's class of CPUs is" in target_in_words(config)


def test_nothing_is_decided_by_a_target_that_nobody_has_resolved() -> None:
    with pytest.raises(ValueError, match="has to be resolved"):
        _ = load_config(None, {}).quantization.narrow_weights


def test_a_run_goes_on_for_the_cpus_that_it_began_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CPU_CLASS, "vnni")
    auto = load_config(None, {})
    assert with_recorded_target(auto, "avx2", run="out").quantization.cpus == "avx2"
    with pytest.raises(ConfigError, match="for other CPUs") as caught:
        with_recorded_target(with_target(auto), "avx2", run="out")
    assert (caught.value.where, caught.value.found) == ("quantization.target", "vnni")


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
    assert json.loads((run / "work" / "request.json").read_text())["target"] == "arm64"
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
def test_models_for_cpus_without_vnni_cannot_saturate(
    target: str, engine: str, colour_model: Path, configured: Configured, tmp_path: Path, brief: None
) -> None:
    config = configured({"quantization.target": target, "tuning.engine": engine})
    result = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run", workers=1))
    for model in result.report.models:
        assert saturating_layers(ModelArtifact.load(result.run / model.file).proto()) == ()
    chosen = result.report.chosen
    assert (chosen.target, chosen.saturating_layers, chosen.recipe.reduce_range) == (target, 0, True)
    assert "no sum of integer products can saturate" in " ".join(summary(result.report).split())


def test_models_for_cpus_with_vnni_say_what_happens_on_others(
    colour_model: Path, configured: Configured, tmp_path: Path, brief: None
) -> None:
    config = configured({"quantization.target": "vnni", "tuning.engine": "native"})
    report = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run", workers=1)).report
    chosen = report.chosen
    assert (chosen.target, chosen.recipe.reduce_range) == ("vnni", False)
    assert chosen.saturating_layers == 2
    assert "can saturate in 2 layers" in " ".join(summary(report).split())


def test_a_candidate_that_could_saturate_is_not_written_for_such_cpus(
    colour_model: Path, configured: Configured, ended_search: EndedSearch, tmp_path: Path
) -> None:
    ended_search()
    config = configured({"quantization.target": "any"})
    with pytest.raises(RuntimeError, match="in spite of the target"):
        tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run", workers=1))
    assert not (tmp_path / "run" / "report.json").exists()
