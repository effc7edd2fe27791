"""The command that gives a run again."""

from __future__ import annotations

from quantize.report.reproduce import run_command
from quantize.report.schema import RunReport


def test_the_command_of_a_run_is_as_it_was_given(report: RunReport) -> None:
    assert run_command(report) == (
        "quantize tune --data_path imagenet/val --label_path imagenet/val.txt --preset caffe --output_model run"
    )


def test_a_resumed_run_has_the_whole_command_of_its_settings(report: RunReport) -> None:
    origin = report.provenance.model_copy(update={"command": ("quantize", "tune", "--resume", "r3")})
    config = {**report.config, "rewrites": ["common-scales", "redundant"], "tuning": {"engine": "native"}}
    command = run_command(report.model_copy(update={"provenance": origin, "config": config}))
    assert command == (
        "quantize tune --input_model squeezenet1.0-12.onnx --data_path imagenet/val --label_path imagenet/val.txt "
        "--preset caffe --iteration 100 --engine native --rewrites common-scales,redundant "
        "--output_model again"
    )


def test_a_resumed_run_names_its_paths_as_they_were_given_and_not_where_they_were_found(report: RunReport) -> None:
    begun = ("quantize", "tune", "--input-model", "my nets/a.onnx", "--data_path=../val", "--calibration_list=few.txt")
    origin = report.provenance.model_copy(update={"command": ("quantize", "tune", "--resume=r3"), "begun": begun})
    resumed = {
        "provenance": origin,
        "source": report.source.model_copy(update={"path": "/found/a.onnx"}),
        "data": report.data.model_copy(update={"path": "/found/val", "labels": "/found/val.txt"}),
        "config": {**report.config, "data": {"calibration_list": "/found/few.txt"}},
    }
    command = run_command(report.model_copy(update=resumed))
    assert command.startswith(
        "quantize tune --input_model 'my nets/a.onnx' --data_path ../val --label_path /found/val.txt "
        "--calibration_list few.txt "
    )


def test_inputs_that_were_named_anew_when_a_run_was_resumed_are_named_so(report: RunReport) -> None:
    begun = ("quantize", "tune", "--input_model", "a.onnx", "--data_path", "old/val", "--label_path", "old.txt")
    again = ("quantize", "tune", "--resume", "r3", "--data-path=new/val")
    origin = report.provenance.model_copy(update={"command": again, "begun": begun})
    command = run_command(report.model_copy(update={"provenance": origin}))
    assert command.startswith("quantize tune --input_model a.onnx --data_path new/val --label_path old.txt ")
