"""Sums that are the same on every CPU, compared with numpy's and with those of this CPU's kernels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.formats import exact, to_qdq, to_qlinear
from quantize.formats.exact import open_exact_session, with_unsigned_weights
from quantize.formats.saturation import saturating_layers
from quantize.graph.view import Graph
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.models.session import sums_saturate
from tests.formats.small_graphs import MICROSOFT, QLinearGraph, open_session, qlinear_graphs

SATURATING = np.full((8, 16), 127, np.int8)
BRIGHT = np.full((1, 16), 255, np.uint8)


def _model(
    nodes: list[NodeProto], given: dict[str, tuple[int, list[int]]], output: int, constants: dict[str, Any], opset: int
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in given.items()],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def _matmul_integer(weights: NDArray[Any], *zero_points: str, **constants: Any) -> ModelProto:
    node = helper.make_node("MatMulInteger", ["x", "w", *zero_points], ["y"], name="layer")
    given = {"x": (TensorProto.UINT8, [1, len(weights)])}
    return _model([node], given, TensorProto.INT32, {"w": weights, **constants}, 13)


def _weights_of(model: ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer if len(tensor.dims) > 1}


def _plain(model: ModelProto, feeds: dict[str, NDArray[Any]]) -> NDArray[Any]:
    scores: NDArray[Any] = open_session(model, exact=False).run(None, feeds)[0]
    return scores


def _exact(model: ModelProto, feeds: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return what an exact session gives, and check that unsigned weights give it too: this CPU may not need them."""
    scores: NDArray[Any] = open_exact_session(model).run(None, feeds)[0]
    np.testing.assert_array_equal(_plain(with_unsigned_weights(model), feeds), scores)
    return scores


@given(qlinear_graphs())
def test_no_layer_of_an_exact_model_can_saturate(case: tuple[ModelProto, dict[str, NDArray[np.float32]]]) -> None:
    model, _ = case
    for form in (model, to_qdq(model), to_qlinear(model)):
        assert saturating_layers(with_unsigned_weights(form)) == ()


@pytest.mark.parametrize("zero_points", [(), ("", ""), ("xz", ""), ("xz", "wz")])
def test_exact_sums_are_those_of_the_integers(zero_points: tuple[str, ...]) -> None:
    random = np.random.default_rng(0)
    weights = random.integers(-128, 128, (64, 8)).astype(np.int8)
    given = random.integers(0, 256, (1, 64)).astype(np.uint8)
    constants = {"xz": np.uint8(7), "wz": np.int8(-5)}
    used = {name: constants[name] for name in zero_points if name}
    sums = (given.astype(np.int32) - int(used.get("xz", 0))) @ (weights.astype(np.int32) - int(used.get("wz", 0)))
    model = _matmul_integer(weights, *zero_points, **used)
    np.testing.assert_array_equal(_exact(model, {"x": given}), sums)


PAIRS = 8
PLAIN: dict[str, int] = {"vnni": 16 * 127 * 255, "arm64": 16 * 127 * 255, "avx2": PAIRS * np.iinfo(np.int16).max}
"""What a plain session makes of 16 products of 127 and 255, by class; `any` may have kernels of either kind."""


def test_plain_sessions_saturate_only_on_cpus_without_vnni() -> None:
    model = _matmul_integer(SATURATING.T.copy())
    assert set(_exact(model, {"x": BRIGHT}).ravel()) == {16 * 127 * 255}
    cpu_class = this_cpu_class()
    assert cpu_class not in PLAIN or sums_saturate() == (cpu_class == "avx2")
    assert set(_plain(model, {"x": BRIGHT}).ravel()) <= (
        {PLAIN[cpu_class]} if cpu_class in PLAIN else set(PLAIN.values())
    )


def test_signed_activations_of_qdq_files_are_exact_too() -> None:
    """By itself onnxruntime makes them uint8 on x86, and their products saturate without VNNI."""
    constants = {"s": np.float32(1), "z": np.int8(0), "w": SATURATING.T.copy(), "b": np.zeros(8, np.int32)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wd"]),
        helper.make_node("DequantizeLinear", ["b", "s"], ["bd"]),
        helper.make_node("Gemm", ["xd", "wd", "bd"], ["y"], name="layer"),
    ]
    model = _model(nodes, {"x": (TensorProto.FLOAT, [1, 16])}, TensorProto.FLOAT, constants, 13)
    bright = {"x": np.full((1, 16), 127, np.float32)}
    assert set(open_exact_session(model).run(None, bright)[0].ravel()) == {16 * 127 * 127}
    plain = set(_plain(model, bright).ravel())
    assert plain != {16 * 127 * 127} or not sums_saturate()


def _saturating_conv(group: int = 1, kernel: tuple[int, ...] = (3, 3)) -> ModelProto:
    """Return a QLinearConv of equal weights whose results, a mean times 127, are whole."""
    weights = np.full((4, 4 // group, *kernel), 127, np.int8)
    count = weights[0].size
    constants = {
        "one": np.float32(1),
        "none": np.uint8(0),
        "w": weights,
        "ws": np.full(4, 1 / 127, np.float32),
        "wz": np.zeros(4, np.int8),
        "ys": np.float32(count),
    }
    inputs = ["x", "one", "none", "w", "ws", "wz", "ys", "none"]
    node = helper.make_node("QLinearConv", inputs, ["y"], name="layer", group=group)
    given = {"x": (TensorProto.UINT8, [1, 4, *(size + 1 for size in kernel)])}
    return _model([node], given, TensorProto.UINT8, constants, 13)


@pytest.mark.parametrize("kernel", [(3,), (3, 3), (5, 5), (2, 3, 3)])
@pytest.mark.parametrize("group", [1, 2, 4])
def test_exact_convs_are_those_of_the_integers_including_depthwise_ones(group: int, kernel: tuple[int, ...]) -> None:
    model = _saturating_conv(group, kernel)
    given = np.full([value.dim_value for value in model.graph.input[0].type.tensor_type.shape.dim], 250, np.uint8)
    for form in (model, to_qlinear(to_qdq(model))):
        assert set(_exact(form, {"x": given}).ravel()) == {250}


def test_depthwise_weights_stay_signed() -> None:
    assert [values.dtype for values in _weights_of(with_unsigned_weights(_saturating_conv(4))).values()] == [np.int8]
    assert [values.dtype for values in _weights_of(with_unsigned_weights(_saturating_conv(2))).values()] == [np.uint8]


@given(qlinear_graphs())
def test_exact_models_stand_for_the_same_weights(case: tuple[ModelProto, dict[str, NDArray[np.float32]]]) -> None:
    model, feeds = case
    for form in (model, to_qdq(model)):
        # Unoptimized, QDQ computes in float: equal weights give equal bits.
        forms = (to_qdq(form), with_unsigned_weights(to_qdq(form)))
        sessions = [open_session(proto, optimize=False, exact=False) for proto in forms]
        plain, changed = (session.run(None, feeds) for session in sessions)
        for expected, scores in zip(plain, changed, strict=True):
            np.testing.assert_array_equal(scores, expected)


@given(qlinear_graphs())
def test_both_formats_of_an_exact_model_give_the_same(
    case: tuple[ModelProto, dict[str, NDArray[np.float32]]],
) -> None:
    model, feeds = case
    written = with_unsigned_weights(model)
    for form in (to_qdq(written), with_unsigned_weights(to_qdq(model))):
        both = (session.run(None, feeds) for session in (open_exact_session(model), open_session(form, exact=False)))
        for expected, scores in zip(*both, strict=True):
            np.testing.assert_array_equal(scores, expected)


def test_zero_points_stay_equal_across_channels() -> None:
    build = QLinearGraph()
    x = build.quantized_input((1, 4, 6, 6))
    model = build.model(build.conv(x, 8, weight_zero=3))
    graph = Graph(with_unsigned_weights(model))
    (conv,) = [node for node in graph.nodes if node.op_type == "QLinearConv"]
    zero_points = graph.constant(conv.input[5])
    np.testing.assert_array_equal(zero_points, np.full(8, 131, np.uint8), strict=True)
    (before,) = [tensor for tensor in _weights_of(model).values() if tensor.dtype == np.int8]
    np.testing.assert_array_equal(graph.constant(conv.input[3]), before.astype(int) + 128)


def _two_layers() -> ModelProto:
    """Return two QLinearConv that read one weight."""
    build = QLinearGraph()
    x = build.quantized_input((1, 4, 6, 6))
    first = build.conv(x, 4, kernel=1)
    second = build.conv(first, 4, kernel=1, weight_like=build.nodes[-1])
    return build.model(second)


@pytest.mark.parametrize("form", [lambda model: model, to_qdq], ids=["QLinear", "QDQ"])
def test_a_weight_that_several_nodes_read_is_written_once(form: Callable[[ModelProto], ModelProto]) -> None:
    written = with_unsigned_weights(form(_two_layers()))
    assert [values.dtype for values in _weights_of(written).values()] == [np.uint8]


@pytest.mark.parametrize("form", [lambda model: model, to_qdq], ids=["QLinear", "QDQ"])
def test_only_the_nodes_that_were_named_are_written(form: Callable[[ModelProto], ModelProto]) -> None:
    model = form(_two_layers())
    first, second = saturating_layers(model)
    names = [node.name for node in model.graph.node if "Conv" in node.op_type]
    half = with_unsigned_weights(model, [names[1], "none of this name"])
    assert len(saturating_layers(half)) == 1
    assert saturating_layers(half)[0] in (first, names[0])
    assert second not in saturating_layers(half)
    assert sorted(str(values.dtype) for values in _weights_of(half).values()) == ["int8", "uint8"]


def test_a_model_without_such_weights_comes_back_as_it_is() -> None:
    written = with_unsigned_weights(_two_layers())
    assert with_unsigned_weights(written) == written
    signed = Graph(_layer_behind(np.full((4, 4), 127, np.int8), activations=np.int8)).model()
    assert with_unsigned_weights(signed) == signed


def _layer_behind(
    weights: NDArray[Any],
    *moves: NodeProto,
    activations: type[np.generic] = np.uint8,
    stored: str = "w",
    zero_point: bool = True,
) -> ModelProto:
    """Return a MatMul in QDQ form whose weights come to it through further nodes, from ``w`` to ``moved``."""
    constants = {"one": np.float32(1), "s": np.float32(16), "z": np.zeros((), activations), "w": weights}
    constants |= {"ws": np.float32(1 / 64), "wz": np.zeros((), np.int8), "shape": np.array([4, 4])}
    quantized = "moved" if moves else stored
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "one", "z"], ["xd"]),
        *moves,
        helper.make_node("DequantizeLinear", [quantized, "ws", *(["wz"] if zero_point else [])], ["wd"]),
        helper.make_node("MatMul", ["xd", "wd"], ["p"], name="layer"),
        helper.make_node("QuantizeLinear", ["p", "s", "z"], ["pq"]),
        helper.make_node("DequantizeLinear", ["pq", "s", "z"], ["y"]),
    ]
    used = {name for node in nodes for name in node.input}
    kept = {name: value for name, value in constants.items() if name in used}
    return _model(nodes, {"x": (TensorProto.FLOAT, [1, 4])}, TensorProto.FLOAT, kept, 13)


QUANTIZE = helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["wq"])
TRANSPOSE = helper.make_node("Transpose", ["w"], ["moved"], perm=[1, 0])
BEHIND: dict[str, tuple[NodeProto, ...]] = {
    "nothing": (),
    "Transpose": (TRANSPOSE,),
    "Reshape": (helper.make_node("Reshape", ["w", "shape"], ["moved"]),),
    "QuantizeLinear": (helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["moved"]),),
    "QuantizeLinear and Transpose": (QUANTIZE, helper.make_node("Transpose", ["wq"], ["moved"], perm=[1, 0])),
    "Pad": (helper.make_node("Pad", ["w", "pads"], ["moved"]),),
    "an operator that makes int8": (helper.make_node("Abs", ["w"], ["moved"]),),
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("zero_point", [True, False], ids=["zero point", "none"])
def test_weights_behind_other_nodes_are_found(behind: str, zero_point: bool) -> None:
    moves = BEHIND[behind]
    integers = np.random.default_rng(1).choice(np.array([-127, 120, 127], np.int8), (4, 4))
    weights = integers.astype(np.float32) / 64 if any(node.op_type == "QuantizeLinear" for node in moves) else integers
    if behind == "Pad":
        weights = weights[:3]
    # Where a QuantizeLinear or another operator makes the integers, a zero point says that they are int8.
    model = _layer_behind(weights, *moves, zero_point=zero_point or "Linear" in behind or "operator" in behind)
    if behind == "Pad":
        pads = numpy_helper.from_array(np.array([0, 0, 1, 0]), "pads")
        model.graph.initializer.append(pads)
    bright = {"x": np.array([[255, 255, 3, 250]], np.float32)}
    expected = open_session(model, optimize=False, exact=False).run(None, bright)[0]
    written = with_unsigned_weights(model)
    assert saturating_layers(written) == ()
    np.testing.assert_array_equal(_plain(written, bright), expected)


def test_weights_that_are_moved_as_real_numbers_are_found() -> None:
    model = _layer_behind(np.full((4, 4), 127, np.int8))
    graph = Graph(model)
    (layer,) = [node for node in graph.nodes if node.name == "layer"]
    graph.add("Transpose", [layer.input[1]], ["turned"], perm=[1, 0])
    graph.set_input(layer, 1, "turned")
    written = with_unsigned_weights(graph.model())
    assert [values.dtype for values in _weights_of(written).values()] == [np.uint8]


def _turned(weights: NDArray[Any]) -> ModelProto:
    """Return a MatMul whose weights are turned as real numbers."""
    graph = Graph(_layer_behind(weights))
    (layer,) = [node for node in graph.nodes if node.name == "layer"]
    graph.add("Transpose", [layer.input[1]], ["turned"], perm=[1, 0])
    graph.set_input(layer, 1, "turned")
    return graph.model()


@pytest.mark.parametrize("largest", [63, 64, 100, 127])
@pytest.mark.parametrize("turned", [False, True])
def test_weights_keep_their_type_in_exact_sessions_only_where_no_two_of_them_saturate(
    largest: int, turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row of large weights, which meet as the layer takes them, or only once they are turned."""
    weights = np.zeros((4, 4), np.int8)
    weights[0] = largest
    model = _turned(weights) if turned else _layer_behind(weights.T.copy())
    opened: list[ModelProto] = []
    monkeypatch.setattr(exact, "sums_saturate", lambda: True)
    monkeypatch.setattr(exact, "open_session", lambda content, **_: opened.append(ModelProto.FromString(content)))
    open_exact_session(model)
    saturates = 2 * 255 * largest > 32767
    assert [values.dtype for values in _weights_of(opened[0]).values()] == [np.uint8 if saturates else np.int8]
    assert saturating_layers(model) == (("layer",) if saturates else ())


@pytest.mark.parametrize("largest", [63, 100])
@pytest.mark.parametrize("turned", [False, True])
def test_an_exact_session_gives_what_numpy_does_wherever_the_weights_come_from(largest: int, turned: bool) -> None:
    weights = np.zeros((4, 4), np.int8)
    weights[0] = largest
    model = _turned(weights) if turned else _layer_behind(weights.T.copy())
    bright = np.full((1, 4), 255, np.float32)
    sums = bright.astype(np.int64) @ weights.T.astype(np.int64)
    expected = np.clip(np.rint(sums / 64 / 16), 0, 255) * 16
    np.testing.assert_array_equal(open_exact_session(model).run(None, {"x": bright})[0], expected)


def test_dynamically_quantized_layers_are_exact() -> None:
    weights = np.full((16, 4), 127, np.int8)
    inputs = ["x", "w", "ws"]
    node = helper.make_node("DynamicQuantizeMatMul", inputs, ["y"], name="layer", domain=MICROSOFT)
    constants = {"w": weights, "ws": np.float32(1 / 127)}
    model = _model([node], {"x": (TensorProto.FLOAT, [1, 16])}, TensorProto.FLOAT, constants, 13)
    scores = _exact(model, {"x": np.full((1, 16), 2.0, np.float32)})
    np.testing.assert_allclose(scores, np.full((1, 4), 32.0), rtol=1e-6)


def test_a_file_is_opened_as_its_model_is(tmp_path: Path) -> None:
    model = _matmul_integer(SATURATING.T.copy())
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    scores = open_exact_session(path).run(None, {"x": BRIGHT})[0]
    np.testing.assert_array_equal(scores, _exact(model, {"x": BRIGHT}))


@pytest.mark.parametrize("opset", [12, 13, 21])
def test_float_layers_that_would_be_quantized_when_a_session_opens_stay_float(opset: int) -> None:
    """onnxruntime would quantize their weights to int8, whose sums saturate and then differ from the graph's."""
    random = np.random.default_rng(0)
    constants = {
        "s": np.float32(1),
        "z": np.uint8(0),
        "w": random.choice(np.array([-1, 1, 0.9], np.float32), (8, 16, 3, 3)),
        "t": np.float32(50),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("Conv", ["xd", "w"], ["c"], name="layer"),
        helper.make_node("QuantizeLinear", ["c", "t", "z"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "t", "z"], ["y"]),
    ]
    model = _model(nodes, {"x": (TensorProto.FLOAT, [1, 16, 5, 5])}, TensorProto.FLOAT, constants, opset)
    bright = {"x": random.uniform(100, 255, (1, 16, 5, 5)).astype(np.float32)}
    expected = open_session(model, optimize=False, exact=False).run(None, bright)[0]
    scores = open_exact_session(model).run(None, bright)[0]
    np.testing.assert_allclose(scores, expected, atol=50)
    assert np.mean(scores == expected) > 0.98
    assert np.mean(_plain(model, bright) == expected) < 0.9


@pytest.mark.parametrize("saturates", [False, True])
def test_weights_are_rewritten_only_if_sums_saturate(saturates: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[ModelProto] = []
    monkeypatch.setattr(exact, "sums_saturate", lambda: saturates)
    monkeypatch.setattr(exact, "open_session", lambda content, **_: opened.append(ModelProto.FromString(content)))
    open_exact_session(_two_layers())
    expected = np.uint8 if saturates else np.int8
    assert [values.dtype for values in _weights_of(opened[0]).values()] == [expected]
