"""The products of a model, read from its file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from quantize.graph.shapes import inferred_shapes
from quantize.measurement.machine.layer_shapes import GemmShape
from quantize.measurement.machine.model_layers import model_layers
from quantize.report.integer_share import arithmetic_of

_sizes = st.integers(1, 3)


@st.composite
def _convolutions(draw):
    group = draw(st.sampled_from([1, 1, 2, 4]))
    channels, outputs = group * draw(_sizes), group * draw(_sizes)
    kernel = [draw(_sizes), draw(_sizes)]
    attributes = {"kernel_shape": kernel, "strides": [draw(_sizes), draw(_sizes)], "group": group}
    automatic = draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    attributes["auto_pad"] = automatic
    if automatic in ("NOTSET", "VALID"):
        attributes["dilations"] = [draw(_sizes), draw(_sizes)]
    if automatic == "NOTSET":
        attributes["pads"] = [draw(st.integers(0, 2)) for _ in range(4)]
    size = [draw(st.integers(7, 12)), draw(st.integers(7, 12))]
    return channels, outputs, size, attributes


def _model(channels, outputs, size, attributes):
    weights = np.zeros((outputs, channels // attributes["group"], *attributes["kernel_shape"]), np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv", **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", channels, *size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


@given(_convolutions())
def test_a_layers_shape_is_that_of_its_node(drawn):
    model = _model(*drawn)
    (layer,) = model_layers(model)
    assert layer.multiply_adds == arithmetic_of(model).total
    if layer.shape is None:
        assert drawn[3]["group"] > 1
        return
    assert layer.shape.result_size == inferred_shapes(model)["y"][2:]
    assert layer.shape.multiply_adds == layer.multiply_adds
    assert layer.shape.kind == layer.kind


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_matrix_product_is_a_row_an_image(transposed):
    shape = (1000, 1280) if transposed else (1280, 1000)
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], name="fc", transB=transposed)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1280])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros(shape, np.float32), "w")],
    )
    (layer,) = model_layers(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
    assert layer.shape == GemmShape(1, 1280, 1000)


def test_products_of_unknown_shape_or_without_constant_weights_are_not_made_up():
    nodes = [
        helper.make_node("MatMul", ["x", "t"], ["y"], name="both computed"),
        helper.make_node("MatMul", ["u", "w"], ["z"], name="unknown"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 8]),
            helper.make_tensor_value_info("t", TensorProto.FLOAT, ["N", 8, 6]),
            helper.make_tensor_value_info("u", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "z")],
        [numpy_helper.from_array(np.zeros((8, 6), np.float32), "w")],
    )
    (layer,) = model_layers(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
    assert (layer.name, layer.shape, layer.multiply_adds) == ("both computed", None, 4 * 8 * 6)
