"""Whole runs on real models and real photographs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
import pytest
from onnx import numpy_helper

from quantize.commands.benchmark import benchmark
from quantize.commands.benchmark_subjects import BenchmarkRequest
from quantize.config import RunConfig, load_config
from quantize.criterion import Criterion
from quantize.data.containers.registry import open_images
from quantize.data.image_parts import load_images
from quantize.data.preprocessing import PRESETS
from quantize.errors import ExitCode
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact, save_model
from quantize.progress import silent
from quantize.rewrites import select_rewrites
from quantize.run.build import remember_decisions
from quantize.run.context import Ratios
from quantize.run.effort import FULL
from quantize.run.evaluator import Evaluator
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.rewriting import rewrite_candidate
from quantize.run.tune import tune
from tests.run.colours import environment, top1_of

pytestmark = [pytest.mark.long, pytest.mark.real, pytest.mark.inc]


def test_fp32_is_right_on_two_thirds_of_the_images(squeezenet_run: TuneResult) -> None:
    report = squeezenet_run.report
    assert (report.data.calibration, report.data.evaluation) == (100, 400)
    assert report.source.catalog == "squeezenet1.0-12"
    assert top1_of(report.baseline) == pytest.approx(0.67, abs=0.015)


@pytest.mark.parametrize("role", ["int8", "qdq"])
def test_both_models_lose_at_most_one_percent_and_keep_fp32s_answers(squeezenet_run: TuneResult, role: str) -> None:
    model = squeezenet_run.report.model(role)
    accuracy = model.selection
    assert accuracy.top1 is not None
    assert accuracy.top1.relative_drop is not None
    assert accuracy.top1.relative_drop <= 0.01
    assert accuracy.judgement is not None
    assert accuracy.judgement.deciding.outcome == "met"
    assert accuracy.judgement.at_95.outcome == "inconclusive"
    assert accuracy.evaluation.fidelity is not None
    assert accuracy.evaluation.fidelity.agreement >= 0.945
    assert accuracy.evaluation.tied_share < 0.005


def test_the_criterion_is_met_in_one_trial_and_the_formats_agree(squeezenet_run: TuneResult) -> None:
    report = squeezenet_run.report
    assert (squeezenet_run.exit_code, report.verdict.status) == (ExitCode.DONE, "met")
    assert len(report.trials) == 1
    assert not report.chosen.all_fp32
    assert report.formats is not None
    assert report.formats.agreement >= 0.995


@pytest.mark.parametrize("name", ["squeezenet1.0-12-int8.onnx", "squeezenet1.0-13-qdq.onnx"])
def test_both_files_pass_the_full_check_and_are_a_quarter_of_fp32(squeezenet_run: TuneResult, name: str) -> None:
    onnx.checker.check_model(squeezenet_run.run / name, full_check=True)
    assert (squeezenet_run.run / name).stat().st_size < 0.3 * squeezenet_run.report.baseline.bytes


def test_the_qlinear_file_holds_every_convolution_in_int8_at_opset_12(squeezenet_run: TuneResult) -> None:
    section = squeezenet_run.report.model("int8")
    model = onnx.load(squeezenet_run.run / section.file)
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == section.opset == 12
    assert sum(node.op_type == "QLinearConv" for node in model.graph.node) == 26
    assert not [node.name for node in model.graph.node if node.op_type == "Conv"]
    assert (section.ops["GlobalAveragePool"], section.ops["Softmax"]) == (1, 1)
    assert section.integer_share == 1


def test_the_qdq_file_is_opset_13_with_a_scale_for_every_channel(squeezenet_run: TuneResult) -> None:
    model = onnx.load(squeezenet_run.run / squeezenet_run.report.model("qdq").file)
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 13
    values = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 26
    for node in convolutions:
        weight = makers[node.input[1]]
        assert weight.op_type == "DequantizeLinear"
        assert values[weight.input[0]].dtype == np.int8
        assert values[weight.input[1]].shape == values[weight.input[0]].shape[:1]


def test_the_default_rewrites_keep_every_convolution_and_fp32s_answers(
    shared: Path, squeezenet_run: TuneResult, tmp_path: Path
) -> None:
    work, preprocessing = squeezenet_run.run / "work", PRESETS["caffe"].for_input_size(224, 224)
    images = load_images(
        open_images(shared / "imagenet" / "val", shared / "imagenet" / "val.txt", classes=1000),
        preprocessing,
        work / "crops",
        calibration_size=100,
        in_evaluation=False,
        certification=None,
        seed=1978,
        calibration_list=None,
        skip_unreadable=False,
        workers=1,
    )
    evaluator = Evaluator(images.evaluation, preprocessing, tmp_path / "scores", threads=2, exact=True)
    evaluator.evaluate_baseline(ModelArtifact.load(work / "fp32.onnx"))
    journal = Journal(tmp_path / "journal.jsonl", {}, resume=False)
    names = tuple(rewrite.name for rewrite in select_rewrites("default"))
    remember_decisions(journal, squeezenet_run.report.chosen.recipe.but(rewrites=names))
    context: Any = SimpleNamespace(
        ratios=Ratios(journal, {}),
        criterion=Criterion("none"),
        selection=evaluator,
        judging=evaluator,
        images=images,
        qlinear_opset=12,
        effort=FULL,
        progress=silent,
    )
    candidate = ModelArtifact.load(next((work / "candidates").glob("*.onnx")))
    rewritten = rewrite_candidate(context, candidate)
    assert [record.name for record in rewritten.records if record.kept]
    for model in (rewritten.qlinear, rewritten.qdq):
        onnx.checker.check_model(model, full_check=True)
    assert sum(node.op_type == "QLinearConv" for node in rewritten.qlinear.graph.node) == 26
    evaluation = evaluator.evaluate(save_model(rewritten.qlinear, tmp_path / "rewritten.onnx"))
    assert evaluation.fidelity is not None
    assert evaluation.fidelity.agreement >= 0.945
    assert evaluation.top_k(1).expected >= 0.99 * top1_of(squeezenet_run.report.baseline)
    assert evaluation.tied_count <= 2  # of 400: sums of 169 eight-bit values are equal now and then


def test_fp32_has_the_known_accuracy_on_all_500_images(
    shared: Path, squeezenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANTIZE_CACHE", str(tmp_path))
    config = settings(shared / "imagenet" / "val", shared / "imagenet" / "val.txt")
    report = benchmark(BenchmarkRequest(config, input_model=squeezenet, mode="accuracy"))
    assert (report.images, report.preprocessing.preset) == (500, "caffe")
    (model,) = report.models
    assert model.accuracy is not None
    assert model.accuracy.evaluation.top1 is not None
    assert model.accuracy.evaluation.top1.expected == pytest.approx(0.672, abs=0.0021)
    assert model.accuracy.evaluation.top5 is not None
    assert model.accuracy.evaluation.top5.expected == pytest.approx(0.858, abs=0.0021)


@pytest.fixture(scope="module")
def few(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a folder of 100 of the photographs and its label file."""
    folder = tmp_path_factory.mktemp("few")
    lines = (shared / "imagenet" / "val.txt").read_text().splitlines(keepends=True)[::5]
    (folder / "val").mkdir()
    for line in lines:
        name = line.split()[0]
        (folder / "val" / name).symlink_to((shared / "imagenet" / "val" / name).resolve())
    (folder / "val.txt").write_text("".join(lines))
    return folder / "val", folder / "val.txt"


def settings(data: Path, labels: Path | None, **changes: object) -> RunConfig:
    given = {
        "data.path": str(data),
        **({"data.labels": str(labels)} if labels else {}),
        "quantization.target": "vnni",
        "quantization.calibration.sampling_size": 20,
        "evaluation.performance.iteration": 20,
        "evaluation.performance.max_seconds": 0.2,
        "tuning.speed_criterion.min_speedup": 0,  # so short a measurement tells nothing of speed
        "tuning.placement": "all-int8",
        "tuning.exit_policy.max_trials": 1,
        "rewrites": "none",
    }
    return load_config(None, given | {key.replace("__", "."): value for key, value in changes.items()})


def test_the_zoos_own_preprocessing_is_refused_with_the_one_that_fits(
    squeezenet: Path, few: tuple[Path, Path], tmp_path: Path
) -> None:
    names = [f"--input_model={squeezenet}", f"--data_path={few[0]}", f"--label_path={few[1]}", "--preset=imagenet"]
    done = subprocess.run(
        [sys.executable, "-m", "quantize", "tune", *names, "--sampling_size=20", "--output_model=run"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env=environment(tmp_path / "cache"),
    )
    assert done.returncode == ExitCode.USER
    assert "use --preset caffe" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.glob("run/*.onnx"))
    assert not (tmp_path / "run" / "report.json").exists()


def test_a_second_real_model_goes_the_same_way(
    efficientnet: Path, few: tuple[Path, Path], tmp_path: Path, brief: None
) -> None:
    config = settings(*few, preprocessing__preset=None)
    result = tune(TuneRequest(config, input_model=efficientnet, output_model=tmp_path / "run"))
    report = result.report
    assert report.preprocessing.preset == "efficientnet_lite"
    assert top1_of(report.baseline) > 0.8
    assert [model.file for model in report.models] == [
        "efficientnet_lite0-13-int8.onnx",
        "efficientnet_lite0-13-qdq.onnx",
    ]
    assert len(report.trials) == 1
    selection = report.model("int8").selection
    assert selection.evaluation.fidelity is not None
    assert selection.evaluation.fidelity.agreement > 0.85
    assert report.formats is not None
    assert report.formats.agreement >= 0.995
    assert selection.judgement is not None
    met = selection.judgement.deciding.outcome == "met"
    assert result.exit_code is (ExitCode.DONE if met else ExitCode.NOT_MET)
    assert report.trials[0].met is met


def test_without_labels_the_real_model_is_held_to_agreement(
    squeezenet: Path, few: tuple[Path, Path], tmp_path: Path, brief: None
) -> None:
    config = settings(few[0], None, tuning__accuracy_criterion__agreement=0.9)
    result = tune(TuneRequest(config, input_model=squeezenet, output_model=tmp_path / "run"))
    report = result.report
    assert (report.preprocessing.preset, report.data.labelled) == ("caffe", False)
    assert (report.criterion.metric, report.criterion.floor) == ("agreement", 0.9)
    assert result.exit_code is ExitCode.DONE
    assert "agreement with fp32's top-1 decides" in (result.run / "report.md").read_text()


def test_a_graph_whose_weights_are_constants_goes_through_without_a_criterion(
    few: tuple[Path, Path], tmp_path: Path, brief: None
) -> None:
    light = Path(onnx.backend.test.__file__).parent / "data" / "light" / "light_squeezenet.onnx"
    config = settings(*few, preprocessing__preset="caffe")
    result = tune(TuneRequest(config, input_model=light, output_model=tmp_path / "run", criterion="none"))
    assert (result.exit_code, result.report.verdict.status) == (ExitCode.DONE, "not asked")
    for model in result.report.models:
        onnx.checker.check_model(result.run / model.file, full_check=True)
    assert result.report.model("int8").ops["QLinearConv"] == 26
