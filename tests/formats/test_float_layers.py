from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.formats.activation_bounds import Bounds
from quantize.formats.float_layers import FloatLayer, take_to_float
from quantize.formats.float_weights import StoredWeights, put_weights, with_weights
from quantize.graph.view import Graph
from quantize.models.session import open_session
from tests.engines.native.search.conftest import classifier_graph
from tests.formats.plain_quantizer import quantized

RELU, RELU6 = Bounds(0.0, np.inf), Bounds(0.0, 6.0)
BOUNDS = {"stem": RELU, "left": RELU, "right": RELU, "last": RELU6}
LAYERS = {"stem": ("w0", "b0"), "left": ("w1", None), "right": ("w2", "b2"), "last": ("w3", "b3")}
MOVING = {"concat", "pool"}


@pytest.fixture(scope="module")
def fp32() -> ModelProto:
    return classifier_graph()


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(0, 1, (8, 3, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def int8(fp32: ModelProto, pixels: NDArray[np.float32]) -> ModelProto:
    """The classifier in canonical form, its Relus left to the zero points as Neural Compressor does."""
    model = quantized(fp32, pixels, float_ops=("GlobalAveragePool", "Flatten", "Softmax"))
    graph = Graph(canonical(model))
    for node in [node for node in graph.nodes if node.op_type in ("Relu", "Clip")]:
        graph.replace_uses(node.output[0], node.input[0])
        graph.remove([node])
    return canonical(graph.model())


def layers_of(fp32: ModelProto, *names: str) -> dict[str, FloatLayer]:
    graph = Graph(fp32)
    layers = {}
    for name in names:
        weight, bias = LAYERS.get(name, (None, None))
        layers[name] = FloatLayer(
            None if weight is None else graph.constant(weight),
            None if bias is None else graph.constant(bias),
            BOUNDS.get(name),
        )
    return layers


def scores(model: ModelProto, pixels: NDArray[np.float32], optimization: str = "none") -> NDArray[np.float32]:
    session = open_session(model.SerializeToString(), optimization=optimization)  # type: ignore[arg-type]
    scores: NDArray[np.float32] = session.run(None, {"x": pixels})[0]
    return scores


def op_types(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_every_layer_in_float_with_its_fp32_weights_is_the_fp32_model(
    fp32: ModelProto, int8: ModelProto, pixels: NDArray[np.float32]
) -> None:
    model = take_to_float(int8, layers_of(fp32, *LAYERS, *MOVING))
    assert sorted(op_types(model)) == sorted(op_types(fp32))
    np.testing.assert_array_equal(scores(model, pixels), scores(fp32, pixels))


def test_what_only_moves_values_follows_its_neighbours(fp32: ModelProto, int8: ModelProto) -> None:
    model = take_to_float(int8, layers_of(fp32, *LAYERS), followers=MOVING)
    assert sorted(op_types(model)) == sorted(op_types(fp32))


def test_what_only_moves_values_stays_on_integers_between_layers_that_do(fp32: ModelProto, int8: ModelProto) -> None:
    model = to_qlinear(take_to_float(int8, layers_of(fp32, "stem"), followers=MOVING))
    assert op_types(model).count("QLinearConv") == 3
    assert "QLinearConcat" in op_types(model)
    assert op_types(model).count("QuantizeLinear") == 1


@pytest.mark.parametrize("name", LAYERS)
def test_one_layer_alone_in_float_keeps_its_activation_and_both_formats_agree(
    fp32: ModelProto, int8: ModelProto, pixels: NDArray[np.float32], name: str
) -> None:
    model = take_to_float(int8, layers_of(fp32, name), followers=MOVING)
    assert op_types(model).count("Clip" if name == "last" else "Relu") == 1
    qlinear, qdq = to_qlinear(model), to_qdq(model)
    for form in (qlinear, qdq):
        onnx.checker.check_model(form, full_check=True)
    assert op_types(qlinear).count("QLinearConv") == 3
    np.testing.assert_allclose(scores(qlinear, pixels), scores(qdq, pixels), atol=2e-2)


def test_nothing_is_rounded_between_two_layers_in_float(fp32: ModelProto, int8: ModelProto) -> None:
    model = take_to_float(int8, layers_of(fp32, "stem", "left"), followers=MOVING)
    graph = Graph(model)
    makers = {node.name: graph.producer(node.input[0]) for node in graph.nodes if node.op_type == "Conv"}
    assert makers["left"] is not None
    assert makers["left"].op_type == "Relu"
    assert makers["right"] is not None
    assert makers["right"].op_type == "DequantizeLinear"


def test_without_other_weights_a_layer_computes_with_those_that_it_has(int8: ModelProto) -> None:
    before = Graph(int8)
    node = next(node for node in before.nodes if node.name == "left")
    dequantize = before.producer(node.input[1])
    assert dequantize is not None
    integers, scale = before.constant(dequantize.input[0]), before.constant(dequantize.input[1])
    assert integers is not None
    assert scale is not None
    after = Graph(take_to_float(int8, {"left": FloatLayer(bounds=RELU)}))
    own = after.constant(next(node for node in after.nodes if node.name == "left").input[1])
    np.testing.assert_array_equal(own, integers.astype(np.float32) * scale[:, None, None, None])


def stored(weights: NDArray[np.float32]) -> StoredWeights:
    scales = (np.abs(weights).max(axis=(1, 2, 3)) / 127).astype(np.float32)
    return StoredWeights(np.rint(weights / scales[:, None, None, None]).astype(np.int8), scales, 0)


def test_onnxruntime_folds_stored_weights_so_that_fp32s_own_graph_runs(fp32: ModelProto, tmp_path) -> None:  # type: ignore[no-untyped-def]
    graph = Graph(fp32)
    weights = {name: stored(values) for name, _ in LAYERS.values() if (values := graph.constant(name)) is not None}
    model = with_weights(fp32, weights)
    assert {"Cast", "Mul"} <= set(op_types(model))
    for name, proto in (("fp32", fp32), ("stored", model)):
        open_session(proto.SerializeToString(), optimized_path=tmp_path / f"{name}.onnx")
    assert op_types(onnx.load(tmp_path / "stored.onnx")) == op_types(onnx.load(tmp_path / "fp32.onnx"))


def test_stored_weights_take_a_quarter_of_the_bytes_and_give_what_their_values_give(
    fp32: ModelProto, pixels: NDArray[np.float32]
) -> None:
    weights = {name: stored(Graph(fp32).constant(name)) for name in ("w0", "w2")}  # type: ignore[arg-type]
    model = with_weights(fp32, weights)
    names = {tensor.name: tensor for tensor in model.graph.initializer}
    assert sum(tensor.data_type == onnx.TensorProto.INT8 for tensor in names.values()) == 2
    assert not {"w0", "w2"} & set(names)
    plain = with_weights(fp32, {name: stored.levels * stored.aligned_scales for name, stored in weights.items()})
    np.testing.assert_array_equal(scores(model, pixels), scores(plain, pixels))


@given(seed=st.integers(0, 2**32 - 1), channels=st.integers(1, 6), axis=st.integers(0, 1))
def test_the_values_of_stored_weights_are_those_that_onnxruntime_computes(seed: int, channels: int, axis: int) -> None:
    random = np.random.default_rng(seed)
    shape = (channels, 3) if axis == 0 else (3, channels)
    weights = StoredWeights(
        random.integers(-127, 128, shape).astype(np.int8), random.uniform(1e-6, 1, channels).astype(np.float32), axis
    )
    value = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)
    empty = onnx.helper.make_graph([], "weights", [], [value])
    graph = Graph(onnx.helper.make_model(empty, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8))
    name = put_weights(graph, "w", weights)
    graph.add("Identity", [name], ["y"])
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
    values = graph.constant(name)
    assert values is not None
    np.testing.assert_array_equal(values, session.run(None, {})[0])
