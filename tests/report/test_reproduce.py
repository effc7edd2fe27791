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
        "--name squeezenet --preset caffe --iteration 100 --engine native --rewrites common-scales,redundant "
        "--output_model again"
    )
