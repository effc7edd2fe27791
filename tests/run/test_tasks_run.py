"""Runs on models of one score and of several labels: what is judged, and what the reports call it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.commands.benchmark import BenchmarkRequest, benchmark
from quantize.errors import ExitCode
from quantize.gate.check import check
from quantize.gate.document import read_document
from quantize.gate.drawings import check_markdown, check_text
from quantize.gate.tolerances import Tolerances
from quantize.models.artifact import ModelArtifact
from quantize.report.benchmark_text import benchmark_text
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.text import summary
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.colours import COLOURS, colours
from tests.run.conftest import Configured

BRIGHT = [[channel for channel in range(3) if colour[channel] > 125] for colour in COLOURS]


def channels(*wanted: int, sigmoid: bool, shape: list[int | str]) -> ModelProto:
    """Return the classifier with a logit, or a probability, for each channel: whether it is bright."""
    model = colours()
    sums = np.zeros((6, 3), np.float32)  # of the scalar products with two colours only one channel is left
    for channel, pair in enumerate(((3, 5), (3, 4), (4, 5))):
        sums[list(pair), channel] = 40
    model.graph.node.pop()
    nodes = [helper.make_node("MatMul", ["f", "sums"], ["flat"], "sums")]
    nodes.append(helper.make_node("Reshape", ["flat", "shape"], ["logits"], "form"))
    if sigmoid:
        nodes.append(helper.make_node("Sigmoid", ["logits"], ["chances"], "sigmoid"))
    model.graph.node.extend(nodes)
    sizes = [-1, *(size for size in shape[1:] if isinstance(size, int))]
    model.graph.initializer.append(numpy_helper.from_array(sums[:, list(wanted)], "sums"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), "shape"))
    del model.graph.output[:]
    name = "chances" if sigmoid else "logits"
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return model


def run_on(
    model: ModelProto,
    configured: Configured,
    place: Path,
    *,
    labels: Path | None,
    engine: str,
    criterion: Literal["accuracy", "none"] = "accuracy",
) -> TuneResult:
    onnx.save(model, place / "net.onnx")
    config = configured({"tuning.engine": engine, "rewrites": "default", "data.labels": labels and str(labels)})
    return tune(
        TuneRequest(
            config,
            input_model=place / "net.onnx",
            output_model=place / "out",
            workers=1,
            pair_seconds=0.1,
            criterion=criterion,
        )
    )


def relabelled(source: Path, folder: Path, *, several: bool) -> Path:
    """Return the images' label file with the bright channels, or with whether red is one of them."""
    lines = []
    for line in source.read_text().splitlines():
        name, label = line.rsplit(None, 1)
        bright = BRIGHT[int(label)]
        lines.append(" ".join([name, *map(str, bright)]) if several else f"{name} {int(0 in bright)}")
    path = folder / "labels.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def texts_of(result: TuneResult) -> str:
    """Return all that a run tells: text, Markdown, HTML, and what a check says of it."""
    document = read_document(result.run / "report.json")
    checked = check(document, None, Tolerances.model_validate(_TOLERANCES), {}, run=str(result.run))
    report = result.report
    return "\n".join([summary(report), markdown(report), html(report), check_text(checked), check_markdown(checked)])


_TOLERANCES = {
    "against_fp32": {
        "top1_drop": {"relative": 0.01},
        "map_drop": {"relative": 0.01, "confidence": 0.95},
        "agreement": {"at_least": 0.9},
    }
}


@pytest.mark.parametrize(
    ("sigmoid", "shape", "engine"),
    [(True, ["N", 1], "native"), (True, ["N", 1, 1, 1], "ort"), (False, ["N"], "ort")],
    ids=["sigmoid", "four dimensions", "logit"],
)
@pytest.mark.usefixtures("brief")
def test_one_score_is_judged_by_its_accuracy(
    sigmoid: bool,
    shape: list[int | str],
    engine: str,
    configured: Configured,
    colour_images: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    labels = relabelled(colour_images[1], tmp_path, several=False)
    model = channels(0, sigmoid=sigmoid, shape=shape)
    result = run_on(model, configured, tmp_path, labels=labels, engine=engine)
    report = result.report

    assert result.exit_code is ExitCode.DONE
    assert report.task == "yes or no"
    assert report.criterion.metric == "top1"
    evaluation = report.model("int8").deciding.evaluation
    assert (evaluation.accuracy.expected, evaluation.top5, evaluation.classes) == (1.0, None, 2)  # type: ignore[union-attr]
    told = texts_of(result)
    assert "loses 0.00 % of fp32's accuracy" in told.replace("\n  ", " ")
    assert "int8 (QLinear): accuracy drop against fp32" in told
    for word in ("top-1", "Top-1", "top-5", "Top-5", "mAP"):
        assert word not in told, word
    assert onnx.load(result.run / report.models[0].file).graph.output[0] == model.graph.output[0]


@pytest.mark.usefixtures("brief")
def test_several_labels_are_judged_by_mean_average_precision(
    configured: Configured, colour_images: tuple[Path, Path], tmp_path: Path
) -> None:
    labels = relabelled(colour_images[1], tmp_path, several=True)
    model = channels(0, 1, 2, sigmoid=True, shape=["N", 3])
    result = run_on(model, configured, tmp_path, labels=labels, engine="native")
    report = result.report

    assert result.exit_code is ExitCode.DONE
    assert (report.task, report.criterion.metric) == ("labels", "map")
    section = report.model("int8").deciding
    assert section.evaluation.accuracy is not None
    assert section.evaluation.accuracy.expected == 1.0
    assert section.mean_average_precision is not None
    assert section.judgement is not None
    assert section.judgement.deciding.outcome == "met"
    told = texts_of(result)
    assert "loses 0.00 % of fp32's mAP" in told.replace("\n  ", " ")
    assert "the model gives several labels" in told
    assert "mAP drop against fp32" in told
    for word in ("of fp32's top-1", "Top-1", "top-5", "Top-5"):
        assert word not in told, word

    measured = benchmark(
        BenchmarkRequest(
            config=configured({"data.labels": str(labels)}),
            input_model=result.run / report.models[0].file,
            baseline_model=tmp_path / "net.onnx",
            mode="accuracy",
            workers=1,
        )
    )
    assert "mAP drop against fp32" in benchmark_text(measured)


@pytest.mark.usefixtures("brief")
def test_logits_are_those_of_labels_where_the_label_file_has_several_on_a_line(
    configured: Configured, colour_images: tuple[Path, Path], tmp_path: Path
) -> None:
    labels = relabelled(colour_images[1], tmp_path, several=True)
    model = channels(0, 1, 2, sigmoid=False, shape=["N", 3])
    result = run_on(model, configured, tmp_path, labels=labels, engine="ort")

    assert (result.report.task, result.report.criterion.metric) == ("labels", "map")
    # the file itself says so from now on
    assert ModelArtifact.load(result.run / result.report.models[0].file).contract.task == "labels"


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(("wanted", "words"), [((0,), "fp32's answer"), ((0, 1, 2), "fp32's decisions")])
def test_without_labels_agreement_decides(
    wanted: tuple[int, ...], words: str, configured: Configured, tmp_path: Path
) -> None:
    model = channels(*wanted, sigmoid=True, shape=["N", len(wanted)])
    result = run_on(model, configured, tmp_path, labels=None, engine="ort")

    assert result.report.criterion.metric == "agreement"
    assert words in texts_of(result)
    assert "top-1" not in summary(result.report)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("wanted", [(0,), (0, 1, 2)])
def test_scores_that_mean_nothing_are_not_judged(
    wanted: tuple[int, ...], configured: Configured, tmp_path: Path
) -> None:
    model = channels(*wanted, sigmoid=True, shape=["N", len(wanted)])
    result = run_on(model, configured, tmp_path, labels=None, engine="ort", criterion="none")

    assert result.report.verdict.status == "not asked"
    assert result.report.models[0].deciding.judgement is None
