"""A model of one score says yes above a threshold: the score becomes two, and all else is as with two classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from scipy import special

from quantize.data.batches import Batch
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.fidelity import fidelity_of
from quantize.evaluation.inference import by_class, log_probabilities
from quantize.evaluation.scores import ScoreStore
from quantize.models.artifact import ModelArtifact
from quantize.models.contract import model_contract

FLOAT = TensorProto.FLOAT


def one_score(shape: list[int | str], *, sigmoid: bool = True) -> ModelProto:
    """Return a model whose logit is the mean of the image."""
    rank = len(shape)
    nodes = [helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2, 3], keepdims=1)]
    nodes.append(helper.make_node("Reshape", ["means", "shape"], ["logit"]))
    if sigmoid:
        nodes.append(helper.make_node("Sigmoid", ["logit"], ["score"]))
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("image", FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("score" if sigmoid else "logit", FLOAT, shape)],
        [numpy_helper.from_array(np.array([-1, 1, 1, 1][:rank], np.int64), "shape")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


LOGITS = np.array([-2.0, -0.5, 0.0, 0.25, 3.0], np.float32)
IDS = ("a", "b", "c", "d", "e")


def batch(labels: list[int] | None = None) -> Batch:
    images = np.broadcast_to(LOGITS[:, None, None, None], (5, 3, 4, 4)).copy()
    return Batch(IDS, images, None if labels is None else np.array(labels, np.int64))


def saved(model: ModelProto, folder: Path) -> ModelArtifact:
    onnx.save(model, folder / "one.onnx")
    return ModelArtifact.load(folder / "one.onnx")


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize("shape", [["N"], ["N", 1], ["N", 1, 1, 1]])
def test_yes_wins_above_the_threshold_and_exactly_there_is_a_tie(
    shape: list[int | str], sigmoid: bool, tmp_path: Path
) -> None:
    model = saved(one_score(shape, sigmoid=sigmoid), tmp_path)
    assert (model.contract.task, model.contract.classes, model.contract.columns) == ("yes or no", 2, 1)

    evaluation = evaluate(model, [batch([0, 1, 1, 1, 1])])

    assert evaluation.by_class.prediction.tolist()[:2] == [0, 0]
    assert evaluation.by_class.prediction.tolist()[3:] == [1, 1]
    assert evaluation.outcomes.tied.tolist() == [False, False, True, False, False]
    assert evaluation.accuracy == (1 + 0 + 0.5 + 1 + 1) / 5
    assert (evaluation.task, evaluation.metric) == ("yes or no", "top1")


@pytest.mark.parametrize("sigmoid", [True, False])
def test_agreement_is_the_same_side_and_kl_that_of_two_coins(sigmoid: bool) -> None:
    contract = model_contract(one_score(["N", 1], sigmoid=sigmoid))
    moved = LOGITS + np.array([0.1, 0.6, 0.0, -0.2, 0.0], np.float32)

    def rows(logits: np.ndarray) -> np.ndarray:
        own = special.expit(logits) if sigmoid else logits
        return by_class(own[:, None].astype(np.float32), contract)

    fidelity = fidelity_of(rows(LOGITS), rows(moved), contract.scores)

    assert fidelity.agreements.tolist() == [1, 0, 0.5 * 0.5 * 2, 1, 1]
    p, q = special.expit(LOGITS.astype(float)), special.expit(moved.astype(float))
    expected = special.rel_entr(p, q) + special.rel_entr(1 - p, 1 - q)
    np.testing.assert_allclose(fidelity.divergences, expected, rtol=1e-4, atol=1e-7)


def test_both_forms_have_the_same_probabilities() -> None:
    chances, logits = model_contract(one_score(["N", 1])), model_contract(one_score(["N", 1], sigmoid=False))
    first = log_probabilities(by_class(special.expit(LOGITS)[:, None], chances), chances.scores)
    second = log_probabilities(by_class(LOGITS[:, None], logits), logits.scores)

    np.testing.assert_allclose(first, second, atol=1e-6)


def test_labels_are_zero_and_one(tmp_path: Path) -> None:
    from quantize.errors import DataError

    with pytest.raises(DataError, match="no class of the model") as error:
        evaluate(saved(one_score(["N", 1]), tmp_path), [batch([0, 1, 2, 0, 1])])
    assert "0 to 1" in str(error.value)


def test_a_candidate_is_held_against_the_stored_scores(tmp_path: Path) -> None:
    model = saved(one_score(["N", 1]), tmp_path)
    evaluate(model, [batch()], store=tmp_path / "scores")
    candidate = evaluate(model, [batch()], baseline=ScoreStore.open(tmp_path / "scores"))

    assert candidate.fidelity is not None
    assert candidate.fidelity.agreements.tolist() == [1, 1, 0.5, 1, 1]
    assert candidate.fidelity.mean_kl == 0
    assert replace(candidate.fidelity, kind="softmax").sqnr is None
