"""What a repetition takes from the report of the run that it repeats."""

from __future__ import annotations

from quantize.config import load_config
from quantize.data.preprocessing import PRESETS
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import load_catalog
from quantize.report.data import InputContractSection, PreprocessingSection
from quantize.run.preflight import preprocessing_for
from quantize.run.request import TuneResult
from quantize.run.resolve import with_recorded_preprocessing


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
