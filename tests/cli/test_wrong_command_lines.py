"""Each wrong command line ends with exit code 2 and its message; QUANTIZE_UPDATE_GOLDEN=1 rewrites them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantize.cli.main import main
from quantize.errors import ExitCode

_GOLDEN = Path(__file__).parent / "golden"
_WRONG = {
    "misspelt_command": ["tnue", "--relative=0.01"],
    "command_like_nothing": ["zebra"],
    "flag_before_the_command": ["--input_model=model.onnx"],
    "misspelt_flag": ["tune", "--input_modle=model.onnx"],
    "misspelt_flag_with_dashes": ["tune", "--acuracy-criterion", "0.01"],
    "flag_like_nothing": ["tune", "--zebra"],
    "flag_with_one_dash": ["tune", "-input_model=model.onnx"],
    "flag_of_another_command": ["benchmark", "--strategy=basic"],
    "flag_without_dashes": ["tune", "input_model=model.onnx"],
    "argument_too_much": ["fetch", "squeezenet1.0-12", "squeezenet1.0-7"],
    "argument_missing": ["fetch"],
    "no_value_at_the_end": ["tune", "--config"],
    "no_value_before_a_flag": ["tune", "--data_path", "--label_path=val.txt"],
    "empty_value": ["tune", "--data_path="],
    "not_a_truth": ["tune", "--reduce_range=maybe"],
    "not_a_truth_apart": ["tune", "--in_evaluation", "perhaps"],
    "value_for_a_bare_flag": ["tune", "--overwrite=RUN"],
    "no_form_of_a_flag_with_value": ["tune", "--no_relative"],
    "text_for_a_number": ["tune", "--sampling_size=many"],
    "fraction_too_large": ["tune", "--relative", "1"],
    "fraction_below_zero": ["tune", "--relative", "-0.01"],
    "two_losses": ["tune", "--relative=0.01", "--absolute=0.01"],
    "misspelt_choice": ["tune", "--preset=cafe"],
    "misspelt_engine": ["tune", "--engine", "nativ"],
    "criterion_of_another_kind": ["tune", "--criterion=latency"],
    "workers_zero": ["tune", "--workers=0"],
    "too_many_cores": ["tune", "--cores_per_instance=1000000"],
    "mean_of_two": ["tune", "--mean=123.68,116.779"],
    "ops_that_are_no_yaml": ["tune", "--op_wise={conv1: ["],
    "ops_that_are_no_mapping": ["tune", "--op_wise=conv1"],
    "misspelt_mode": ["benchmark", "--mode=acuracy"],
    "batch_size_zero": ["benchmark", "--batch_sizes=1,0"],
    "precision_that_is_no_number": ["benchmark", "--precision=fine"],
    "config_that_is_not_there": ["tune", "--config=not_there.yaml"],
    "setting_of_tune": ["benchmark", "--sampling_size=10"],
    "setting_of_tune_and_benchmark": ["predict", "model.onnx", "image.png", "--iteration=5"],
    "setting_before_the_command": ["--iteration=5"],
    "flag_of_a_nested_command": ["--contact_sheet=sheet.png"],
    "the_other_form_of_a_flag": ["report", "run", "--pictures"],
    "misspelt_command_with_help": ["tnue", "--help"],
    "speed_flags_without_speed": ["benchmark", "--mode=accuracy", "--iteration=5", "--profile"],
    "accuracy_flags_without_accuracy": ["benchmark", "--mode=performance", "--relative=0.01", "--label_path=val.txt"],
    "criterion_without_a_comparison": ["benchmark", "--input_model=model.onnx", "--relative=0.01"],
    "criterion_none_with_a_tolerance": ["tune", "--criterion=none", "--relative=0.01"],
    "strategy_of_another_engine": ["tune", "--engine=native", "--strategy=mse"],
    "latencies_of_another_engine": ["tune", "--engine=inc", "--latency_table=latencies.json"],
    "sample_beside_a_list": ["tune", "--calibration_list=names.txt", "--sampling_size=10"],
    "places_of_a_run_not_repeated": ["verify", "model.onnx", "--file_only", "--data_path=val"],
    "packing_flags_of_a_check": ["package", "--check=package.tar.gz", "--overwrite"],
    "output_of_one_report": ["report", "run", "--output=page.html"],
    "pictures_of_a_comparison": ["report", "run", "other", "--no_pictures"],
    "overwriting_nothing": ["data", "check", "val", "--overwrite"],
    "bounds_without_a_model": ["machine", "--max_memory=1GB"],
    "several_at_once": ["tune", "--relative=2", "--preset=cafe", "--random_seed=-1"],
}


@pytest.mark.parametrize("name", _WRONG)
def test_a_wrong_command_line_ends_with_its_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("quantize.config.load.available_cpus", lambda: 4)
    assert main(_WRONG[name]) is ExitCode.USER
    out, err = capsys.readouterr()
    golden = _GOLDEN / f"{name}.txt"
    if os.environ.get("QUANTIZE_UPDATE_GOLDEN"):
        golden.write_text(err, encoding="utf-8")
    assert err == golden.read_text(encoding="utf-8")
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_every_message_belongs_to_a_command_line() -> None:
    assert {path.stem for path in _GOLDEN.glob("*.txt")} == set(_WRONG)
