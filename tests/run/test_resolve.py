"""The CPUs that a model is for, and what a repetition takes from the report of the run that it repeats."""

from __future__ import annotations

import pytest

from quantize.config import load_config
from quantize.data.preprocessing import PRESETS
from quantize.errors import ConfigError
from quantize.measurement.machine.cpu_class import CPU_CLASS
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import load_catalog
from quantize.report.data import InputContractSection, PreprocessingSection
from quantize.run.preflight import preprocessing_for
from quantize.run.request import TuneResult
from quantize.run.resolve import (
    is_exact,
    target_in_words,
    with_recorded_preprocessing,
    with_recorded_target,
    with_target,
)
from quantize.target import CPU_CLASSES, CpuClass


def test_a_run_keeps_its_preprocessing_when_the_catalog_has_learned_another(colour_run: TuneResult) -> None:
    before = PRESETS["imagenet"].for_input_size(32, 32)
    section = PreprocessingSection.model_validate(before.model_dump())
    report = colour_run.report.model_copy(update={"preprocessing": section})
    nothing_named = load_config(None, {})
    entry = load_catalog().named("efficientnet_lite0")
    model = ModelArtifact.load(colour_run.run / "colours-13-int8.onnx")
    assert preprocessing_for(model, nothing_named.preprocessing, entry).preset == "efficientnet_lite"
    recorded = with_recorded_preprocessing(nothing_named, report)
    assert preprocessing_for(model, recorded.preprocessing, entry) == before


def test_what_is_named_wins_over_the_report(colour_run: TuneResult) -> None:
    named = load_config(None, {"preprocessing.preset": "caffe"})
    assert with_recorded_preprocessing(named, colour_run.report) == named


def test_how_files_with_an_input_contract_are_fed_is_not_how_the_given_model_is(colour_run: TuneResult) -> None:
    contract = InputContractSection(
        contract="uint8-nhwc",
        images=1,
        fp32_moved=0.0,
        fp32_within=1.0,
        int8_moved=0.0,
        int8_within=1.0,
        predictions_changed=0,
    )
    report = colour_run.report.model_copy(update={"input_contract": contract})
    nothing_named = load_config(None, {})
    assert with_recorded_preprocessing(nothing_named, report) == nothing_named


@pytest.mark.parametrize("cpu_class", CPU_CLASSES)
def test_auto_is_this_machines_class(cpu_class: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CPU_CLASS, cpu_class)
    config = with_target(load_config(None, {}))
    assert config.quantization.target == config.quantization.cpus == cpu_class
    assert config.quantization.narrow_weights == (cpu_class != "vnni")
    assert target_in_words(config) == f"target: {cpu_class}, this machine's class of CPUs"


@pytest.mark.parametrize("target", CPU_CLASSES)
def test_a_named_target_wins_over_the_machine(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("cpu_class", CPU_CLASSES)
@pytest.mark.parametrize("target", CPU_CLASSES)
def test_sessions_are_exact_only_where_this_machine_may_saturate_what_the_target_does_not(
    cpu_class: CpuClass, target: CpuClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CPU_CLASS, cpu_class)
    assert is_exact(target) == (target == "vnni" and cpu_class in ("avx2", "any"))
