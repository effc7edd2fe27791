"""What a node that ran is."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from quantize.graph.view import Graph
from quantize.measurement.operators.kinds import float_reason, kind_of, requantizing_concats
from quantize.recipe import Recipe
from tests.measurement.operators.builders import node


@pytest.mark.parametrize(
    ("ran", "kind"),
    [
        (node("a", "QLinearConv", kind="uint8"), "int8"),
        (node("a", "NhwcMaxPool", kind="int8"), "int8"),
        (node("a", "Conv"), "fp32"),
        (node("a", "QuantizeLinear"), "conversion"),
        (node("a", "DequantizeLinear", kind="uint8"), "conversion"),
        (node("a", "Transpose", kind="uint8"), "conversion"),
        (node("a", "ReorderOutput"), "conversion"),
        (node("same", "QLinearConcat", kind="uint8"), "int8"),
        (node("other", "QLinearConcat", kind="uint8"), "conversion"),
    ],
)
def test_each_node_is_int8_fp32_or_conversion(ran, kind):
    assert kind_of(ran, frozenset({"other"})) == kind


def test_a_concat_requantizes_if_a_scale_or_zero_point_differs():
    values = {"s": np.float32(0.5), "t": np.float32(0.25), "z": np.uint8(0), "o": np.uint8(3)}
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]

    def concat(name: str, *parameters: str) -> onnx.NodeProto:
        return helper.make_node(
            "QLinearConcat", ["s", "z", "a", *parameters[:2], "b", *parameters[2:]], [name], name=name
        )

    nodes = [
        concat("equal", "s", "z", "s", "z"),
        concat("scale", "s", "z", "t", "z"),
        concat("zero", "s", "o", "s", "z"),
    ]
    nodes.append(concat("computed", "s", "z", "unknown", "z"))
    graph = helper.make_graph(nodes, "g", [], [], initializers)
    assert requantizing_concats(helper.make_model(graph)) == {"scale", "zero", "computed"}


def test_the_reason_for_fp32_is_the_recipe_or_the_nodes_around_it():
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["x"], name="dq"),
        helper.make_node("DequantizeLinear", ["qw", "s"], ["w"], name="dw"),
        helper.make_node("GlobalAveragePool", ["x"], ["a"], name="pool"),
        helper.make_node("Softmax", ["a"], ["y"], name="softmax"),
        helper.make_node("Erf", ["x"], ["e"], name="erf"),
        helper.make_node("QuantizeLinear", ["e", "s"], ["eq"], name="qe"),
        helper.make_node("Conv", ["a", "w"], ["c"], name="conv"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [], []))
    recipe = Recipe(engine="native", float_op_types=("Softmax",), float_nodes=("conv",))

    def reason(name: str, op_type: str, made_by: Recipe | None = None) -> str:
        return float_reason(Graph(model), name, op_type, made_by)

    assert reason("pool", "GlobalAveragePool") == "result not quantized"
    assert reason("softmax", "Softmax") == "not quantized"
    assert reason("erf", "Erf") == "no int8 kernel: runs between DQ and Q"
    assert reason("conv", "Conv") == "only weights quantized"
    assert reason("softmax", "Softmax", recipe) == reason("conv", "Conv", recipe) == "kept by the recipe"
    assert reason("elsewhere", "Conv") == "not quantized"
