"""Opset 12 and 13: softmax semantics, axes, per-channel weights of float nodes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.errors import ModelError
from quantize.formats import to_qdq, to_qlinear
from tests.formats.small_graphs import QLinearGraph, run, with_output_shape

IMAGE = np.random.default_rng(0).normal(0, 2, (2, 3, 2, 4)).astype(np.float32)


def _one_node(op_type: str, *, opset: int, shape: tuple[int, ...] = IMAGE.shape, **attributes: object) -> ModelProto:
    """Return a model of one float node between two quantized tensors' DequantizeLinear and QuantizeLinear."""
    scale, zero = numpy_helper.from_array(np.float32(0.05), "s"), numpy_helper.from_array(np.uint8(128), "z")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="d"),
        helper.make_node(op_type, ["d"], ["y"], name="node", **attributes),
    ]
    given_ = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "one", given_, made, [scale, zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    return with_output_shape(model, {"x": np.zeros(shape, np.float32)})


@given(
    st.sampled_from([(2, 5), (2, 5, 1, 1), (2, 3, 2, 4), (2, 3, 1, 4), (2, 1, 1, 7)]),
    st.integers(-4, 3),
    st.sampled_from(["Softmax", "LogSoftmax"]),
    st.sampled_from([12, 13]),
)
@settings(deadline=None, max_examples=60)
def test_softmax_keeps_its_meaning_in_both_directions(
    shape: tuple[int, ...], axis: int, op_type: str, opset: int
) -> None:
    axis = max(min(axis, len(shape) - 1), -len(shape))
    image = {"x": np.random.default_rng(1).normal(0, 2, shape).astype(np.float32)}
    source = _one_node(op_type, opset=opset, shape=shape, axis=axis)
    expected = run(source, image)[0]
    for model in (to_qdq(source), to_qlinear(source)):
        onnx.checker.check_model(model, full_check=True)
        np.testing.assert_allclose(run(model, image)[0], expected, atol=1e-6)


def test_softmax_over_scores_of_one_pixel_stays_one_node() -> None:
    model = to_qdq(_one_node("Softmax", opset=12, shape=(2, 5, 1, 1), axis=1))
    assert [node.op_type for node in model.graph.node][-1] == "Softmax"
    assert len(model.graph.node) == 3


@pytest.mark.parametrize("op_type", ["Squeeze", "Unsqueeze", "ReduceSum"])
def test_axes_become_an_input_and_an_attribute_again(op_type: str) -> None:
    axes = [0] if op_type == "Unsqueeze" else [2]
    shape = (2, 3, 1, 4)
    image = {"x": np.random.default_rng(1).normal(0, 2, shape).astype(np.float32)}
    source = _one_node(op_type, opset=12, shape=shape, axes=axes)
    qdq = to_qdq(source)
    back = to_qlinear(qdq)
    for model in (qdq, back):
        onnx.checker.check_model(model, full_check=True)
        np.testing.assert_array_equal(run(model, image)[0], run(source, image)[0])
    assert next(node for node in back.graph.node if node.op_type == op_type).attribute[0].ints == axes


def test_computed_axes_cannot_be_lowered_and_the_error_says_so() -> None:
    source = to_qdq(_one_node("Squeeze", opset=12, shape=(2, 3, 1, 4), axes=[2]))
    squeeze = next(node for node in source.graph.node if node.op_type == "Squeeze")
    source.graph.input.append(helper.make_tensor_value_info("axes", TensorProto.INT64, [1]))
    squeeze.input[1] = "axes"
    with pytest.raises(ModelError, match="opset 12 cannot express"):
        to_qlinear(source)


def test_per_channel_weights_of_a_float_node_are_floats_at_opset_12() -> None:
    build = QLinearGraph()
    qdq = to_qdq(build.model(build.conv(build.quantized_input((1, 4, 6, 6)), 8)))
    conv = next(node for node in qdq.graph.node if node.op_type == "Conv")
    del qdq.graph.output[:]
    qdq.graph.output.append(helper.make_tensor_value_info(conv.output[0], TensorProto.FLOAT, [1, 8, 4, 4]))
    qlinear = to_qlinear(qdq)
    onnx.checker.check_model(qlinear, full_check=True)
    assert [node.op_type for node in qlinear.graph.node] == ["QuantizeLinear", "DequantizeLinear", "Conv"]
    images = build.images()
    np.testing.assert_allclose(run(qlinear, images)[0], run(qdq, images, optimize=False)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("given_", [{"scales": np.float32([1, 1, 2, 2])}, {"sizes": np.array([2, 3, 5, 7])}])
def test_a_resize_gets_the_inputs_that_it_may_leave_out_from_opset_13_on(given_: dict[str, np.ndarray]) -> None:
    source = _one_node("Identity", opset=13)
    ((name, values),) = given_.items()
    source.graph.initializer.append(numpy_helper.from_array(values, name))
    inputs = ["d", "", name] if name == "scales" else ["d", "", "", name]
    source.graph.node[2].CopyFrom(helper.make_node("Resize", inputs, ["y"], name="node", mode="nearest"))
    source = with_output_shape(source, {"x": IMAGE})
    lowered = to_qlinear(source)
    assert lowered.opset_import[0].version == 12
    onnx.checker.check_model(lowered, full_check=True)
    np.testing.assert_array_equal(run(lowered, {"x": IMAGE})[0], run(source, {"x": IMAGE})[0])


def test_an_opset_above_the_models_is_refused() -> None:
    source = _one_node("Relu", opset=13)
    with pytest.raises(ValueError, match="from opset 13 to 17"):
        to_qdq(source, opset=17)


def test_a_higher_opset_is_kept() -> None:
    source = _one_node("Relu", opset=17)
    assert to_qdq(source, opset=17).opset_import[0].version == 17
    assert to_qlinear(source).opset_import[0].version == 17
