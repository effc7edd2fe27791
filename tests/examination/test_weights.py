"""Weights that are not finite, and constants that may well be so."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.examination.weights import examine_weights, is_damaged


def _model(weights: np.ndarray, mask: np.ndarray, op_type: str = "Add") -> ModelProto:
    """A product with weights, and a constant that is added or otherwise taken before a Softmax."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in ("x", "y")]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["p"]),
            helper.make_node(op_type, ["p", "mask"], ["m"]),
            helper.make_node("Softmax", ["m"], ["y"]),
        ],
        "g",
        value[:1],
        value[1:],
        [
            numpy_helper.from_array(weights.astype(np.float32), "w"),
            numpy_helper.from_array(mask.astype(np.float32), "mask"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


_WEIGHTS, _MASK = np.ones((4, 4)), np.zeros(4)


def test_finite_weights_are_right() -> None:
    examination = examine_weights(_model(_WEIGHTS, _MASK))
    assert (examination.check.outcome, examination.check.text) == ("right", "all finite")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_in_a_layer_is_certain_and_says_nothing_of_training(value: float) -> None:
    weights = _WEIGHTS.copy()
    weights[1, :2] = value
    examination = examine_weights(_model(weights, _MASK))
    (finding,) = examination.findings
    assert examination.check.outcome == "wrong"
    assert is_damaged(examination)
    assert finding.sure == "certain"
    assert "w (2 " in finding.evidence
    assert "training" not in finding.what + finding.advice


@pytest.mark.parametrize("op_type", ["Add", "Mul", "Max"])
@pytest.mark.parametrize("value", [-np.inf, np.finfo(np.float32).min, np.inf])
def test_a_mask_of_infinities_or_of_the_least_float_is_right(op_type: str, value: float) -> None:
    examination = examine_weights(_model(_WEIGHTS, np.array([0, value, value, 0]), op_type))
    assert examination.check.outcome == "right"
    assert examination.findings == ()
    assert ("mask" in examination.check.text) == bool(np.isinf(value))


def test_nan_in_another_constant_is_a_guess() -> None:
    examination = examine_weights(_model(_WEIGHTS, np.array([0, np.nan, 0, 0])))
    (finding,) = examination.findings
    assert (finding.severity, finding.sure) == ("problem", "likely")
    assert not is_damaged(examination)


def test_weights_larger_than_training_leaves_them_are_a_note() -> None:
    examination = examine_weights(_model(_WEIGHTS * 1e12, _MASK))
    (finding,) = examination.findings
    assert (finding.severity, finding.sure) == ("note", "likely")
    assert "w (up to 1.0e+12)" in finding.evidence
