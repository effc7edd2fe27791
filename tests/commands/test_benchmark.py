from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from quantize.commands.benchmark import benchmark, exit_code_of
from quantize.commands.benchmark_subjects import BenchmarkRequest
from quantize.config import RunConfig, load_config
from quantize.errors import ConfigError, ExitCode, ModelError, RunError
from quantize.report.benchmark import BenchmarkReport
from quantize.report.benchmark_text import benchmark_text
from quantize.run.request import TuneResult
from tests.run.colours import colours

Configured = Callable[..., RunConfig]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTIZE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def runs(ort_run: TuneResult, tmp_path: Path) -> Path:
    """Return a folder with two runs, the newer one first by name."""
    folder = tmp_path / "runs"
    for number, name in enumerate(("b-older", "a-newer")):
        shutil.copytree(ort_run.run, folder / name)
        os.utime(folder / name / "report.json", ns=(number * 10**9, number * 10**9))
    return folder


@pytest.fixture
def nothing_given() -> RunConfig:
    """Return settings that name neither images nor preprocessing."""
    return load_config(None, {"evaluation.performance.iteration": 20, "evaluation.performance.max_seconds": 0.3})


def test_without_a_model_the_newest_run_is_measured_in_every_respect_and_both_reports_are_written(
    runs: Path, nothing_given: RunConfig, tmp_path: Path
) -> None:
    request = BenchmarkRequest(
        nothing_given,
        runs_dir=runs,
        output_dir=tmp_path / "new" / "reports",
        batch_sizes=(1, 4),
        workers=1,
    )
    report = benchmark(request)
    assert [model.name for model in report.models] == ["fp32", "int8", "qdq"]
    assert all((runs / "a-newer") in Path(model.file).parents for model in report.models)
    assert report.images == 96
    assert report.models[0].accuracy is not None
    assert report.models[0].accuracy.judgement is None
    for model in report.models[1:]:
        assert model.accuracy is not None
        assert model.accuracy.top1 is not None
        assert model.accuracy.evaluation.n == 96
    assert report.latency is not None
    assert set(report.latency.plan.models) == {"fp32", "int8", "qdq"}
    assert report.latency.plan.baseline == "fp32"
    assert report.latency.plan.threads == 1
    assert {block.contestant for block in report.latency.blocks} == {"fp32", "fp32 again", "int8", "qdq"}
    assert {entry.name for entry in report.resources} == {"fp32", "int8", "qdq"}
    assert {entry.batch_size for entry in report.throughput} == {1, 4}
    assert report.stages
    assert (tmp_path / "new" / "reports" / "benchmark.txt").read_text() == benchmark_text(report) + "\n"
    written = (tmp_path / "new" / "reports" / "benchmark.json").read_text()
    assert BenchmarkReport.model_validate_json(written) == report
    assert json.loads(written)["schema_version"] == 1
    assert exit_code_of(report) is ExitCode.DONE


def test_accuracy_alone_measures_no_speed_and_finds_the_report_next_to_the_model(
    ort_run: TuneResult, nothing_given: RunConfig
) -> None:
    model = ort_run.run / "colours-13-int8.onnx"
    report = benchmark(BenchmarkRequest(nothing_given, input_model=model, mode="accuracy", workers=1))
    assert [entry.name for entry in report.models] == ["colours-13-int8"]
    assert (report.latency, report.resources, report.stages) == (None, (), ())
    assert report.images == 96
    assert Path(report.data) == Path(ort_run.report.data.path)
    assert report.preprocessing == ort_run.report.preprocessing
    accuracy = report.models[0].accuracy
    assert accuracy is not None
    assert accuracy.evaluation.n == 96
    assert accuracy.evaluation.fidelity is None
    assert exit_code_of(report) is ExitCode.DONE


def test_the_report_is_found_next_to_a_model_that_was_written_as_a_file(
    ort_run: TuneResult, nothing_given: RunConfig, tmp_path: Path
) -> None:
    shutil.copy(ort_run.run / "colours-13-int8.onnx", tmp_path / "mine.onnx")
    (tmp_path / "mine.run").mkdir()
    shutil.copy(ort_run.run / "report.json", tmp_path / "mine.run")
    request = BenchmarkRequest(nothing_given, input_model=tmp_path / "mine.onnx", mode="accuracy", workers=1)
    assert benchmark(request).images == 96


def test_the_report_next_to_a_changed_model_does_not_apply_to_it(
    ort_run: TuneResult, nothing_given: RunConfig, tmp_path: Path
) -> None:
    onnx.save(colours(), tmp_path / "colours-13-int8.onnx")
    shutil.copy(ort_run.run / "report.json", tmp_path)
    request = BenchmarkRequest(nothing_given, input_model=tmp_path / "colours-13-int8.onnx", mode="accuracy")
    with pytest.raises(ConfigError, match="no images are named"):
        benchmark(request)


def test_speed_alone_evaluates_nothing_and_takes_a_sample_of_the_images(
    ort_run: TuneResult, colour_model: Path, nothing_given: RunConfig
) -> None:
    request = BenchmarkRequest(
        nothing_given,
        input_model=ort_run.run / "colours-13-int8.onnx",
        baseline_model=colour_model,
        mode="performance",
        workers=1,
    )
    report = benchmark(request)
    assert [entry.accuracy for entry in report.models] == [None, None]
    assert [entry.name for entry in report.models] == ["fp32", "colours-13-int8"]
    assert report.latency is not None
    assert report.latency.plan.baseline == "fp32"
    assert report.throughput == ()
    assert report.instances is None
    assert exit_code_of(report) is ExitCode.DONE


def test_a_model_is_judged_against_its_baseline_on_all_images_without_a_run(
    ort_run: TuneResult, colour_model: Path, configured: Configured, tmp_path: Path
) -> None:
    onnx.save(without_the_last_colour(), tmp_path / "fp32.onnx")
    request = BenchmarkRequest(
        configured(),
        input_model=tmp_path / "fp32.onnx",
        baseline_model=colour_model,
        mode="accuracy",
        workers=1,
    )
    report = benchmark(request)
    baseline, candidate = report.models
    assert (baseline.name, candidate.name) == ("fp32", "model")
    assert (baseline.file, candidate.file) == (str(colour_model), str(tmp_path / "fp32.onnx"))
    assert candidate.accuracy is not None
    assert candidate.accuracy.top1 is not None
    assert candidate.accuracy.top1.drop == pytest.approx(16 / 96)
    assert candidate.accuracy.judgement is not None
    assert candidate.accuracy.judgement.deciding.outcome == "not met"
    assert exit_code_of(report) is ExitCode.NOT_MET

    same = replace(request, input_model=ort_run.run / "colours-13-qdq.onnx")
    assert exit_code_of(benchmark(same)) is ExitCode.DONE
    sure = configured({"tuning.accuracy_criterion.confidence": 0.95})
    assert exit_code_of(benchmark(replace(same, config=sure))) is ExitCode.INCONCLUSIVE


def test_the_source_stands_in_for_the_baseline_if_the_work_folder_is_gone(runs: Path, nothing_given: RunConfig) -> None:
    shutil.rmtree(runs / "a-newer" / "work")
    report = benchmark(BenchmarkRequest(nothing_given, runs_dir=runs, mode="accuracy", workers=1))
    assert Path(report.models[0].file).name == "colours-13.onnx"


def test_models_of_unlike_classes_or_image_sizes_are_refused(
    colour_model: Path, configured: Configured, tmp_path: Path
) -> None:
    unlike = tmp_path / "unlike.onnx"
    model = colours()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 16
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 16
    onnx.save(model, unlike)
    request = BenchmarkRequest(configured(), input_model=unlike, baseline_model=colour_model, mode="accuracy")
    with pytest.raises(ModelError, match="different image sizes"):
        benchmark(request)
    onnx.save(of_three_classes(), unlike)
    with pytest.raises(ModelError, match="different numbers of classes"):
        benchmark(request)


def without_the_last_colour() -> onnx.ModelProto:
    """Return a classifier that never names its last colour."""
    model = colours()
    for weight in model.graph.initializer:
        if weight.name == "b2":
            biases = onnx.numpy_helper.to_array(weight).copy()
            biases[-1] = -100
            weight.CopyFrom(onnx.numpy_helper.from_array(biases, weight.name))
    return model


def of_three_classes() -> onnx.ModelProto:
    """Return the classifier without its last three colours."""
    model = colours()
    for weight in model.graph.initializer:
        if weight.name in ("w2", "b2"):
            array = onnx.numpy_helper.to_array(weight)[:3].copy()
            weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3
    return model


def test_without_a_run_or_a_model_the_first_command_is_named(nothing_given: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        benchmark(BenchmarkRequest(nothing_given, runs_dir=tmp_path / "runs"))
    assert "run_tuning.sh" in str(caught.value)


def test_a_model_of_unknown_weights_needs_a_preprocessing(
    colour_model: Path, colour_images: tuple[Path, Path], configured: Configured
) -> None:
    data, labels = colour_images
    config = load_config(None, {"data.path": str(data), "data.labels": str(labels)})
    with pytest.raises(ConfigError) as caught:
        benchmark(BenchmarkRequest(config, input_model=colour_model, mode="accuracy"))
    assert "caffe, imagenet" in str(caught.value)


def test_images_that_calibrated_the_models_are_told_and_left_out_where_that_is_asked(
    runs: Path, nothing_given: RunConfig
) -> None:
    asked = BenchmarkRequest(nothing_given, runs_dir=runs, mode="accuracy", workers=1)
    counted = benchmark(asked)
    assert counted.calibration is not None
    assert (counted.calibration.images, counted.calibration.left_out) == (96, False)
    assert 0 < counted.calibration.calibrated < 96
    left = 96 - counted.calibration.calibrated
    assert f"{counted.calibration.calibrated} of the 96 images calibrated this model" in benchmark_text(counted)
    without = benchmark(replace(asked, calibration_images="out"))
    assert without.calibration is not None
    assert without.calibration.left_out
    assert (without.images, without.calibration.images) == (left, 96)
    assert [model.accuracy.evaluation.n for model in without.models if model.accuracy] == [left] * 3
    assert "they are left out" in benchmark_text(without)


def test_images_cannot_be_left_out_where_no_file_tells_them(colour_model: Path, configured: Configured) -> None:
    asked = BenchmarkRequest(configured(), input_model=colour_model, mode="accuracy", workers=1)
    assert benchmark(asked).calibration is None
    with pytest.raises(ConfigError, match="no model's file tells") as caught:
        benchmark(replace(asked, calibration_images="out"))
    assert caught.value.where == "--calibration_images out"
