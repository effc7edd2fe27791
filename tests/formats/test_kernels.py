"""Operators that onnxruntime has no kernel for are not written."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.formats import to_qlinear
from quantize.formats.kernels import has_kernel
from quantize.graph.nodes import MICROSOFT
from quantize.graph.view import Graph
from tests.formats.small_graphs import run

_UINT8 = {"x": int(TensorProto.UINT8)}


def _mean(op_type: str, **attributes: object) -> ModelProto:
    """Return the QDQ pattern around a mean over the image."""
    constants = {"s": np.float32(0.05), "z": np.uint8(20)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="d"),
        helper.make_node(op_type, ["d"], ["m"], name="mean", **attributes),
        helper.make_node("QuantizeLinear", ["m", "s", "z"], ["q2"], name="q2"),
        helper.make_node("DequantizeLinear", ["q2", "s", "z"], ["y"], name="d2"),
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 5, 4])]
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3, 1, 1])]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "mean", given, made, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_an_operator_without_a_kernel_stays_in_float_between_its_conversions() -> None:
    source = _mean("ReduceMean", axes=[2, 3])
    written = to_qlinear(source)
    assert "ReduceMean" in [node.op_type for node in written.graph.node]
    image = {"x": np.random.default_rng(0).normal(0, 2, (2, 3, 5, 4)).astype(np.float32)}
    np.testing.assert_array_equal(run(written, image)[0], run(source, image, optimize=False)[0])


def test_one_with_a_kernel_becomes_an_integer_operator() -> None:
    assert "QLinearGlobalAveragePool" in [node.op_type for node in to_qlinear(_mean("GlobalAveragePool")).graph.node]


@pytest.mark.parametrize(
    ("op_type", "domain", "there"),
    [
        ("QLinearReduceMean", MICROSOFT, False),
        ("QLinearSigmoid", MICROSOFT, True),
        ("NoSuchOperator", MICROSOFT, False),
    ],
)
def test_onnxruntime_itself_says_what_it_has(op_type: str, domain: str, there: bool) -> None:
    graph = Graph(_mean("GlobalAveragePool"))
    assert has_kernel(graph, op_type, ["x", "s", "z", "s", "z"], _UINT8, domain=domain) is there
