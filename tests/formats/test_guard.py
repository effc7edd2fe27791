from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.formats import to_qdq, to_qlinear
from quantize.formats.guard import guard_float_layers
from quantize.formats.stored import stored, with_weights
from quantize.models.session import open_session


def sandwich(opset, op_type="Conv", bound=None):
    """QuantizeLinear-DequantizeLinear, a float layer, perhaps a Relu, QuantizeLinear-DequantizeLinear."""
    rng = np.random.default_rng(0)
    shape, weight = ([1, 3, 4, 4], (4, 3, 1, 1)) if op_type == "Conv" else ([1, 3], (3, 4))
    # The first output channel is a thousandth of the others: one scale for all weights would round it away.
    values = rng.normal(0, 1, weight).astype(np.float32)
    (values if op_type == "Conv" else values.T)[0] *= 1e-3
    after = ["y", "z"] if bound else ["y", "y"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "p"], ["xq"], "q0"),
        helper.make_node("DequantizeLinear", ["xq", "s", "p"], ["xd"], "d0"),
        helper.make_node(op_type, ["xd", "w"], ["y"], "layer"),
        *([helper.make_node(bound, ["y"], ["z"], "bound")] if bound else []),
        helper.make_node("QuantizeLinear", [after[1], "t", "p"], ["zq"], "q1"),
        helper.make_node("DequantizeLinear", ["zq", "t", "p"], ["out"], "d1"),
    ]
    graph = helper.make_graph(
        nodes,
        "sandwich",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 4, *shape[2:]])],
        [
            numpy_helper.from_array(np.float32(0.01), "s"),
            numpy_helper.from_array(np.float32(0.0001), "t"),
            numpy_helper.from_array(np.uint8(100), "p"),
            numpy_helper.from_array(values, "w"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def output(model, optimization):
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    return open_session(model.SerializeToString(), optimization=optimization).run(None, {"x": x})[0]


@pytest.mark.parametrize("opset", [12, 13, 21])
@pytest.mark.parametrize(("op_type", "bound"), [("Conv", None), ("Conv", "Relu"), ("Gemm", None)])
def test_a_guarded_float_layer_scores_the_same_with_and_without_optimization(opset, op_type, bound):
    model = sandwich(opset, op_type, bound)
    plain = output(model, "none")
    assert guard_float_layers(model) == ("layer",)
    onnx.checker.check_model(model, full_check=True)
    assert np.array_equal(output(model, "none"), plain)
    assert output(model, "all") == pytest.approx(plain, abs=1.5e-4)


def test_without_the_guard_onnxruntime_rounds_the_weights():
    model = sandwich(13)
    assert np.abs(output(model, "all") - output(model, "none")).max() > 3e-4


def test_a_layer_whose_input_is_float_needs_no_guard():
    model = sandwich(13)
    layer = next(node for node in model.graph.node if node.name == "layer")
    layer.input[0] = "x"
    before = model.SerializeToString()
    assert guard_float_layers(model) == ()
    assert model.SerializeToString() == before


def test_a_second_guard_changes_nothing():
    model = sandwich(13)
    guard_float_layers(model)
    before = model.SerializeToString()
    assert guard_float_layers(model) == ()
    assert model.SerializeToString() == before


@pytest.mark.parametrize("guard", [True, False])
def test_a_guarded_model_of_opset_13_is_written_at_opset_12(guard):
    model = sandwich(13)
    plain = output(model, "none")
    if guard:
        guard_float_layers(model)
    written = to_qlinear(model, opset=12)
    onnx.checker.check_model(written, full_check=True)
    by_channel = [node for node in written.graph.node if any(entry.name == "axis" for entry in node.attribute)]
    assert {node.domain for node in by_channel} == ({"com.microsoft"} if guard else set())
    assert np.array_equal(output(written, "none"), plain)
    # And back: the domain that knows channels at opset 12 is not needed any more.
    assert all(not node.domain for node in to_qdq(written).graph.node)


def test_a_layer_whose_weights_are_stored_in_int8_is_guarded_too():
    model = sandwich(13)
    weights = numpy_helper.to_array(model.graph.initializer[3])
    scales = np.abs(weights).max(axis=(1, 2, 3)) / np.float32(127)
    model = with_weights(model, {"w": stored(weights, scales, 0)})
    plain = output(model, "none")
    assert guard_float_layers(model) == ("layer",)
    assert output(model, "all") == pytest.approx(plain, abs=1.5e-4)
