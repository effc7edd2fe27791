"""Weights of float layers: stored in int8, computed in fp32, and protected from quantization by onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.formats.float_weights import guard_float_layers, stored, stored_layers, with_weights
from quantize.graph.view import Graph
from quantize.models.session import open_session
from tests.engines.native.search.conftest import classifier_graph

ROWS = arrays(np.float32, (4, 9), elements=st.floats(-2, 2, width=32))


def stored_classifier():
    graph = classifier_graph()
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    chosen = {
        name: stored(weights[name], np.abs(weights[name]).max(axis=(1, 2, 3)) / np.float32(127), 0)
        for name in ("w0", "w1", "w2", "w3")
    }
    return with_weights(graph, chosen), chosen


@given(ROWS)
@settings(deadline=None)
def test_weights_on_the_grid_come_back_to_the_last_bit(rows):
    scales = np.maximum(np.abs(rows).max(axis=1) / np.float32(127), np.float32(1e-6))
    on_grid = np.rint(rows / scales[:, None]).astype(np.float32) * scales[:, None]
    weights = stored(on_grid, scales, 0)
    assert weights.levels.dtype == np.int8
    assert np.array_equal(weights.values, on_grid)


def test_the_graph_that_runs_is_the_one_of_plain_weights(tmp_path):
    model, chosen = stored_classifier()
    plain = classifier_graph()
    for tensor in plain.graph.initializer:
        if tensor.name in chosen:
            tensor.CopyFrom(numpy_helper.from_array(chosen[tensor.name].values, tensor.name))
    images = np.random.default_rng(0).normal(0, 1, (4, 3, 16, 16)).astype(np.float32)
    expected = open_session(plain.SerializeToString()).run(None, {"x": images})[0]
    graphs = []
    for name, proto in (("plain", plain), ("qlinear", to_qlinear(model)), ("qdq", to_qdq(model))):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / f"{name}.onnx")
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        optimized = onnx.load(tmp_path / f"{name}.onnx")
        graphs.append([(node.domain, node.op_type) for node in optimized.graph.node])
        assert np.array_equal(session.run(None, {"x": images})[0], expected)
    assert graphs[0] == graphs[1] == graphs[2]


def test_stored_layers_are_recognised_in_every_form():
    model, _ = stored_classifier()
    layers = ("stem", "left", "right", "last")
    for form in (model, canonical(model), to_qlinear(model), to_qdq(model)):
        assert stored_layers(form) == layers
    assert stored_layers(classifier_graph()) == ()


def test_rewrites_see_the_values_that_are_computed_with():
    model, chosen = stored_classifier()
    graph = Graph(model)
    (conv,) = [node for node in graph.nodes if node.name == "right"]
    assert np.array_equal(graph.constant(conv.input[1]), chosen["w2"].values)
    assert graph.constant("r0") is None


def test_a_name_that_the_graph_does_not_have_is_refused():
    _, chosen = stored_classifier()
    with pytest.raises(KeyError, match="nowhere"):
        with_weights(classifier_graph(), {"nowhere": chosen["w0"]})


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


def test_a_layer_whose_weights_are_stored_in_int8_is_guarded():
    model = sandwich(13)
    weights = numpy_helper.to_array(model.graph.initializer[3])
    scales = np.abs(weights).max(axis=(1, 2, 3)) / np.float32(127)
    model = with_weights(model, {"w": stored(weights, scales, 0)})
    plain = output(model, "none")
    assert guard_float_layers(model) == ("layer",)
    assert output(model, "all") == pytest.approx(plain, abs=1.5e-4)
