from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

import quantize
from quantize.data.batches import CalibrationDataLoader


@pytest.fixture
def result(workplace: Path) -> quantize.TuneResult:
    loader = CalibrationDataLoader.open(
        "images", preprocessing="imagenet", input_name="image", input_size=8, sampling_size=9
    )
    return quantize.tune(
        "model.onnx",
        data_path="images",
        label_path="labels.txt",
        preset="imagenet",
        calibration=loader,
        engine="ort",
        placement="all-int8",
        min_speedup=0.0,
        max_trials=1,
        iteration=3,
        max_seconds=1,
        output_model=workplace / "run",
    )


def test_a_result_has_its_figures_at_hand_and_is_found_again(result: quantize.TuneResult) -> None:
    assert result.met
    assert (result.fp32.top1, result.int8.top1, result.qdq.agreement) == (1.0, 1.0, 1.0)
    assert result.fp32.speedup is None
    assert result.int8.speedup is not None
    assert result.fp32.latency_ms is not None
    assert result.int8.bytes == result.int8.path.stat().st_size
    assert result.flips == []
    assert [trial["index"] for trial in result.trials] == list(range(len(result.report.trials)))
    again = quantize.TuneResult.open("run")
    assert again.report == result.report
    assert again.exit_code is result.exit_code
    assert quantize.check(result, limits_only=True).lines


def test_its_models_are_ready_for_onnxruntime(result: quantize.TuneResult) -> None:
    session = onnxruntime.InferenceSession(result.model("qdq"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].name == result.session("int8").get_inputs()[0].name == "image"


def test_it_is_short_in_a_terminal_and_a_table_in_a_notebook(result: quantize.TuneResult) -> None:
    lines = repr(result).splitlines()
    assert lines[0] == f"TuneResult({str(result.run)!r}): met"
    assert [line.split(",")[0].strip() for line in lines[1:]] == ["fp32", "int8", "qdq"]
    assert "accuracy 100.00 %" in lines[2]
    html = result._repr_html_()
    assert html.count("<tr>") == 4
    assert "<td>int8</td><td>100.00 %</td>" in html


def test_what_the_other_functions_return_is_short_too(result: quantize.TuneResult) -> None:
    checked = quantize.check(result, limits_only=True)
    inspected = quantize.inspect(result.model())
    assert all(len(text) < 2500 for text in (repr(result.report), repr(checked), repr(inspected)))
    assert "multiply-adds" in repr(inspected)
    assert "of 9 images" in repr(inspected)  # that calibrated it


def test_a_loaders_images_calibrate(result: quantize.TuneResult) -> None:
    assert result.report.data.calibration == 9
