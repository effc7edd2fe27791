from __future__ import annotations

from pathlib import Path

import pytest

from quantize.commands.machine import MachineReport, examine_machine
from quantize.errors import ConfigError, ModelError
from quantize.processes.pool import available_cpus
from quantize.run.request import TuneResult


def test_without_a_model_the_cpu_alone_is_reported() -> None:
    report, place = examine_machine(threads=1)
    assert (report.expectation, report.layers, report.from_cache, place) == (None, (), False, None)
    assert MachineReport.model_validate_json(report.model_dump_json()) == report


def test_what_int8_gains_is_expected_of_fp32_models_only(ort_run: TuneResult) -> None:
    with pytest.raises(ModelError, match="for fp32 models only"):
        examine_machine(ort_run.run / "colours-13-int8.onnx", 1)


def test_a_models_layers_are_measured(colour_model: Path) -> None:
    report, _ = examine_machine(colour_model, 1)
    assert report.layers
    assert report.expectation is not None


def test_more_threads_than_cores_are_refused() -> None:
    with pytest.raises(ConfigError, match="more cores") as caught:
        examine_machine(threads=available_cpus() + 1)
    assert caught.value.where == "--cores_per_instance"
