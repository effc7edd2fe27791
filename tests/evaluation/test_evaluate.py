from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.data.batches import Batch
from quantize.data.crops.crops import Skipped
from quantize.errors import DataError, ModelError
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.scores import ScoreStore
from quantize.evaluation.summary import EvaluationSummary, summarize
from quantize.models.artifact import ModelArtifact, save_model

_CLASSES = 12


def _model(
    folder: Path,
    *,
    name: str = "fp32",
    batch: int | str = "N",
    trailing: bool = False,
    softmax: bool = False,
    noise: float = 0.0,
    constant: bool = False,
    scale: float = 1.0,
) -> ModelArtifact:
    """Make a linear classifier on the mean of each channel and corner pixel."""
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(48, _CLASSES)).astype(np.float32) * scale
    weights += noise * np.random.default_rng(1).normal(size=weights.shape).astype(np.float32)
    if constant:
        weights[:] = 0
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    last = "logits"
    if softmax:
        nodes.append(helper.make_node("Softmax", [last], ["probabilities"], axis=1))
        last = "probabilities"
    shape: list[int | str] = [batch, _CLASSES]
    initializers = [numpy_helper.from_array(weights, "weights")]
    if trailing:
        nodes.append(helper.make_node("Unsqueeze", [last, "axes"], ["trailing"]))
        initializers.append(numpy_helper.from_array(np.array([2, 3], np.int64), "axes"))
        last, shape = "trailing", [*shape, 1, 1]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 4, 4])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return save_model(model, folder / f"{name}.onnx")


def _batches(n: int = 50, size: int = 16, labels: bool = True) -> list[Batch]:
    generator = np.random.default_rng(2)
    images = generator.normal(size=(n, 3, 4, 4)).astype(np.float32)
    true = generator.integers(0, _CLASSES, n)
    return [
        Batch(
            ids=tuple(f"image-{i:03}.jpg" for i in range(start, min(start + size, n))),
            images=images[start : start + size],
            labels=true[start : start + size] if labels else None,
        )
        for start in range(0, n, size)
    ]


def test_a_saved_model_is_evaluated_image_by_image(tmp_path: Path) -> None:
    evaluation = evaluate(_model(tmp_path), _batches())
    assert evaluation.n == 50
    assert evaluation.classes == _CLASSES
    assert evaluation.ids[17] == "image-017.jpg"
    counts = evaluation.top_k(1)
    assert 0 <= counts.pessimistic_count <= 50
    assert counts.expected == counts.pessimistic  # random floats do not tie
    assert evaluation.fidelity is None
    assert not evaluation.constant_output


@pytest.mark.parametrize("size", [1, 7, 50])
def test_the_batch_size_changes_no_outcome(tmp_path: Path, size: int) -> None:
    model = _model(tmp_path)
    expected, evaluation = evaluate(model, _batches(size=50)), evaluate(model, _batches(size=size))
    for name in ("rank", "ties", "prediction", "tied_top"):
        np.testing.assert_array_equal(getattr(expected.outcomes, name), getattr(evaluation.outcomes, name))


def test_what_is_looked_at_together_is_as_it_is_image_by_image(tmp_path: Path) -> None:
    fp32, other = _model(tmp_path), _model(tmp_path, name="other", noise=0.1)
    made = []
    for size in (1, 3, 64, 150):
        store = tmp_path / f"{size}.scores"
        evaluate(fp32, _batches(150, size), store=store, threads=2)
        made.append((store.read_bytes(), evaluate(other, _batches(150, size), baseline=ScoreStore.open(store))))
    (expected_bytes, expected), *others = made
    assert expected.fidelity is not None
    for stored, evaluation in others:
        assert stored == expected_bytes
        assert evaluation.fidelity is not None
        assert evaluation.outcomes.ids == expected.outcomes.ids
        np.testing.assert_array_equal(evaluation.outcomes.prediction, expected.outcomes.prediction)
        np.testing.assert_array_equal(evaluation.fidelity.divergences, expected.fidelity.divergences)


def test_images_that_are_left_at_the_end_are_checked_too(tmp_path: Path) -> None:
    batches = _batches(70, 4)
    batches[-1].images[-1, 0, 0, 0] = np.nan
    with pytest.raises(ModelError, match=r"image-069\.jpg"):
        evaluate(_model(tmp_path), batches)


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_a_model_of_a_fixed_batch_size_gets_its_batches(tmp_path: Path, batch: int) -> None:
    free, fixed = _model(tmp_path), _model(tmp_path, name="fixed", batch=batch)
    np.testing.assert_array_equal(
        evaluate(fixed, _batches()).outcomes.prediction, evaluate(free, _batches()).outcomes.prediction
    )


def test_trailing_dimensions_of_the_output_are_squeezed(tmp_path: Path) -> None:
    flat, trailing = _model(tmp_path), _model(tmp_path, name="trailing", trailing=True)
    assert evaluate(trailing, _batches()).top_k(5) == evaluate(flat, _batches()).top_k(5)


def test_a_candidate_is_measured_against_the_stored_scores(tmp_path: Path) -> None:
    fp32 = _model(tmp_path, softmax=True)
    evaluate(fp32, _batches(), store=tmp_path / "work" / "fp32.scores")
    store = ScoreStore.open(tmp_path / "work" / "fp32.scores")
    assert store.kind == "softmax"
    assert store.graph_sha256 == fp32.graph_sha256
    itself = evaluate(fp32, _batches(), baseline=store).fidelity
    near = evaluate(_model(tmp_path, name="near", softmax=True, noise=0.01), _batches(), baseline=store).fidelity
    far = evaluate(_model(tmp_path, name="far", softmax=True, noise=0.5), _batches(), baseline=store).fidelity
    assert itself is not None
    assert near is not None
    assert far is not None
    assert itself.agreement == 1
    assert 0 <= itself.mean_kl < near.mean_kl < far.mean_kl
    assert far.agreement < near.agreement <= 1
    assert near.sqnr_decibel is not None
    assert far.sqnr_decibel is not None
    assert near.sqnr_decibel > far.sqnr_decibel


def test_a_part_of_the_images_is_measured_against_the_same_scores(tmp_path: Path) -> None:
    fp32, other = _model(tmp_path), _model(tmp_path, name="other", noise=0.1)
    evaluate(fp32, _batches(), store=tmp_path / "fp32.scores")
    store = ScoreStore.open(tmp_path / "fp32.scores")
    whole = evaluate(other, _batches(), baseline=store)
    part = evaluate(other, _batches()[1:2], baseline=store)
    assert whole.fidelity is not None
    assert part.fidelity is not None
    np.testing.assert_allclose(part.fidelity.divergences, whole.fidelity.divergences[16:32], rtol=1e-6)


def test_without_labels_only_fidelity_is_known(tmp_path: Path) -> None:
    fp32 = _model(tmp_path)
    evaluate(fp32, _batches(labels=False), store=tmp_path / "fp32.scores")
    evaluation = evaluate(fp32, _batches(labels=False), baseline=ScoreStore.open(tmp_path / "fp32.scores"))
    assert not evaluation.labelled
    summary = summarize(evaluation)
    assert summary.top1 is None
    assert summary.top5 is None
    assert summary.fidelity is not None
    assert summary.fidelity.agreement == 1.0


def test_a_constant_output_is_recognized(tmp_path: Path) -> None:
    evaluation = evaluate(_model(tmp_path, constant=True), _batches())
    assert evaluation.constant_output
    assert evaluation.tied_share == 1.0
    assert evaluation.top_k(1).expected == pytest.approx(1 / _CLASSES)
    assert evaluation.top_k(1).pessimistic == 0.0


def test_one_image_does_not_make_an_output_constant(tmp_path: Path) -> None:
    assert not evaluate(_model(tmp_path), _batches(n=1)).constant_output


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_an_error_naming_the_images(tmp_path: Path, value: float) -> None:
    batches = _batches()
    batches[1].images[3, 0, 0, 0] = value
    with pytest.raises(ModelError, match="NaN or infinite") as caught:
        evaluate(_model(tmp_path), batches, store=tmp_path / "fp32.scores")
    assert "image-019.jpg" in str(caught.value)
    assert not (tmp_path / "fp32.scores").exists()


def test_a_label_that_is_no_class_is_an_error_naming_the_image(tmp_path: Path) -> None:
    batches = _batches()
    assert batches[2].labels is not None
    batches[2].labels[0] = _CLASSES
    with pytest.raises(DataError, match=r"image-032\.jpg"):
        evaluate(_model(tmp_path), batches)


def test_no_image_at_all_is_an_error_not_an_accuracy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        evaluate(_model(tmp_path), [], store=tmp_path / "fp32.scores")
    assert not (tmp_path / "fp32.scores").exists()


def test_skipped_images_and_progress_are_carried_along(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    evaluation = evaluate(
        _model(tmp_path),
        _batches(),
        skipped=[Skipped("broken.jpg", "truncated")],
        progress=lambda stage, done, total: seen.append((stage, done, total)),
    )
    assert summarize(evaluation).skipped[0].id == "broken.jpg"
    assert summarize(evaluation).skipped[0].reason == "truncated"
    assert seen == [("evaluate", done, 4) for done in (1, 2, 3, 4)]


def test_a_summary_survives_json_and_holds_wilson_intervals(tmp_path: Path) -> None:
    fp32 = _model(tmp_path)
    evaluate(fp32, _batches(), store=tmp_path / "fp32.scores")
    summary = summarize(evaluate(fp32, _batches(), baseline=ScoreStore.open(tmp_path / "fp32.scores")))
    assert EvaluationSummary.model_validate_json(summary.model_dump_json()) == summary
    assert summary.top1 is not None
    assert summary.top5 is not None
    assert summary.top1.expected in summary.top1.expected_interval
    assert summary.top5.expected >= summary.top1.expected


def test_a_baseline_of_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    evaluate(_model(tmp_path), _batches(), store=tmp_path / "fp32.scores")
    store = ScoreStore.open(tmp_path / "fp32.scores")
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("Relu", ["flat"], ["scores"]),
        ],
        "other",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 48])],
    )
    other = save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "other.onnx"
    )
    with pytest.raises(ModelError, match="number of classes"):
        evaluate(other, _batches(labels=False), baseline=store)


def test_a_model_that_takes_channels_last_gets_them_last(tmp_path: Path) -> None:
    first = _model(tmp_path)
    graph = first.proto().graph
    graph.node.insert(0, helper.make_node("Transpose", ["image_nhwc"], ["image"], perm=[0, 3, 1, 2]))
    graph.input[0].CopyFrom(helper.make_tensor_value_info("image_nhwc", TensorProto.FLOAT, ["N", 4, 4, 3]))
    last = save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "nhwc.onnx"
    )
    assert last.contract.input_layout == "NHWC"
    expected, evaluation = evaluate(first, _batches()), evaluate(last, _batches())
    np.testing.assert_array_equal(expected.outcomes.prediction, evaluation.outcomes.prediction)


def test_an_output_that_is_not_one_score_a_class_is_refused(tmp_path: Path) -> None:
    model = _model(tmp_path)
    mistaken = replace(model, contract=replace(model.contract, classes=5))
    with pytest.raises(ModelError, match="one score a class") as caught:
        evaluate(mistaken, _batches())
    assert "(16, 12)" in str(caught.value)
