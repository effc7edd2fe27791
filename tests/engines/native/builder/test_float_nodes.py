"""Nodes without a kernel, without statistics or in a form without integers stay in float, and nothing breaks."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.calibration.collect import collect
from quantize.formats import to_qdq, to_qlinear
from quantize.graph.bodies import read_through_identity
from quantize.graph.nodes import is_op
from quantize.graph.shapes import inferred_types
from quantize.graph.view import Graph
from tests.engines.native.builder.small_model import BATCHES, RECIPE, error, quantize_graph, scores

RANDOM = np.random.default_rng(3)


def weights(*shape):
    return RANDOM.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)


BETWEEN = {
    "two activations in a row": (
        [
            helper.make_node("Clip", ["a", "low", "high"], ["b"], "relu6"),
            helper.make_node("Relu", ["b"], ["m"], "again"),
        ],
        {"low": np.float32(0), "high": np.float32(6)},
    ),
    "Split": (
        [
            helper.make_node("Split", ["a"], ["b", "c"], "split", axis=1),
            helper.make_node("Relu", ["b"], ["d"], "relu"),
            helper.make_node("Concat", ["c", "d"], ["m"], "concat", axis=1),
        ],
        {},
    ),
    "squeeze by ReduceMean": (
        [
            helper.make_node("ReduceMean", ["a"], ["b"], "mean", axes=[2, 3]),
            helper.make_node("Conv", ["b", "w"], ["c"], "excite"),
            helper.make_node("Sigmoid", ["c"], ["d"], "sigmoid"),
            helper.make_node("Mul", ["a", "d"], ["m"], "mul"),
        ],
        {"w": weights(8, 8, 1, 1)},
    ),
    "a mask of minus infinity": (
        [
            helper.make_node("Add", ["a", "mask"], ["b"], "mask"),
            helper.make_node("Softmax", ["b"], ["c"], "softmax", axis=3),
            helper.make_node("Mul", ["a", "c"], ["m"], "mul"),
        ],
        {"mask": np.where(np.arange(14) < 5, -np.inf, 0).astype(np.float32)},
    ),
    "an operator that no quantizer knows": (
        [helper.make_node("Erf", ["a"], ["b"], "erf"), helper.make_node("Mul", ["a", "b"], ["m"], "mul")],
        {},
    ),
}


def classifier(between, constants):
    """Return Conv, the nodes from ``a`` to ``m``, Conv, GlobalAveragePool, Gemm."""
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], "first"),
        *between,
        helper.make_node("Conv", ["m", "w1"], ["n"], "second"),
        helper.make_node("GlobalAveragePool", ["n"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w2"], ["scores"], "gemm", transB=1),
    ]
    stored = {"w0": weights(8, 3, 3, 3), "w1": weights(8, 8, 3, 3), "w2": weights(10, 8), **constants}
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("case", BETWEEN)
def test_both_formats_open_and_score_nearly_as_the_model_does(case):
    model = classifier(*BETWEEN[case])
    quantized = quantize_graph(model, RECIPE, collect(model, BATCHES))
    for written in (to_qlinear(quantized), to_qdq(quantized)):
        onnx.checker.check_model(written, full_check=True)
        assert error(model, written) < 0.01 * scores(model).var()
    convs = [node for node in to_qlinear(quantized).graph.node if is_op(node, "QLinearConv")]
    assert len(convs) >= 2


def _branch(op_type, result):
    node = helper.make_node(op_type, ["b"], [result])
    return helper.make_graph([node], op_type, [], [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)])


@pytest.mark.parametrize("through_identity", [False, True])
def test_an_activation_that_only_a_branch_reads_is_not_removed(through_identity):
    branches = {"then_branch": _branch("Softplus", "t"), "else_branch": _branch("Cos", "e")}
    between = [
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("ReduceMax", ["x"], ["most"], "most", keepdims=0),
        helper.make_node("Greater", ["most", "limit"], ["yes"], "greater"),
        helper.make_node("If", ["yes"], ["m"], "if", **branches),
    ]
    model = classifier(between, {"limit": np.float32(3.4)})
    if through_identity:  # as ``prepare`` leaves a model
        graph = Graph(model)
        read_through_identity(graph, inferred_types(model))
        model = graph.model()
    quantized = quantize_graph(model, RECIPE, collect(model, BATCHES))
    for written in (to_qlinear(quantized), to_qdq(quantized)):
        onnx.checker.check_model(written, full_check=True)
        assert error(model, written) < 0.01 * scores(model).var()
