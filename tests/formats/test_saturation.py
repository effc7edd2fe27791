from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.formats.qlinear import to_qlinear
from quantize.formats.saturation import can_saturate, saturating_layers

Weights = NDArray[np.int8] | NDArray[np.uint8]


def _layer(
    weights: Weights, *, operator: str = "Conv", activations: type[np.generic] = np.uint8, **attributes: object
) -> ModelProto:
    """Return QuantizeLinear, DequantizeLinear, one layer, QuantizeLinear, DequantizeLinear."""
    channels = weights.shape[1] * int(str(attributes.get("group", 1))) if operator == "Conv" else weights.shape[0]
    image = ["N", channels, 6, 6] if operator == "Conv" else ["N", channels]
    point = np.zeros((), activations)
    constants = {"s": np.float32(0.1), "z": point, "w": weights, "ws": np.float32(0.1), "wz": weights.dtype.type(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        helper.make_node(operator, ["xd", "wd"], ["y"], name="layer", **attributes),
        helper.make_node("QuantizeLinear", ["y", "s", "z"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "s", "z"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _conv(value: int, dtype: type[np.generic] = np.int8) -> Weights:
    return np.full((4, 2, 3, 3), value, dtype)  # type: ignore[return-value]


@given(arrays.arrays(np.int8, st.tuples(st.integers(1, 4), st.integers(1, 6))))
def test_no_order_of_the_weights_saturates_if_none_is_said_to(rows: NDArray[np.int8]) -> None:
    sums = [
        255 * sum(max(sign * int(weight), 0) for weight in pair) * sign
        for row in rows
        for pair in combinations(row, 2)
        for sign in (1, -1)
    ]
    assert can_saturate(rows) is any(not -32768 <= total <= 32767 for total in sums)


@pytest.mark.parametrize("format_of", [lambda model: model, to_qlinear], ids=["QDQ", "QLinear"])
@pytest.mark.parametrize(("value", "layers"), [(127, 1), (-127, 1), (64, 0), (-64, 0), (65, 1)])
def test_eight_bit_weights_can_saturate_and_seven_bit_weights_cannot(
    format_of: Callable[[ModelProto], ModelProto], value: int, layers: int
) -> None:
    assert len(saturating_layers(format_of(_layer(_conv(value))))) == layers


def test_depthwise_layers_and_unsigned_weights_do_not_saturate() -> None:
    depthwise = np.full((4, 1, 3, 3), 127, np.int8)
    assert saturating_layers(_layer(depthwise, group=4)) == ()
    assert saturating_layers(_layer(np.concatenate([depthwise, depthwise]), group=4)) == ("layer",)
    assert saturating_layers(_layer(_conv(255, np.uint8))) == ()


def test_signed_activations_saturate_in_qdq_files_where_onnxruntime_makes_them_unsigned() -> None:
    signed = _layer(_conv(127), activations=np.int8)
    assert saturating_layers(signed) == ("layer",)
    assert saturating_layers(to_qlinear(signed)) == ()
    assert saturating_layers(_layer(_conv(64), activations=np.int8)) == ()


@pytest.mark.parametrize(
    ("operator", "attributes", "across"), [("MatMul", {}, 0), ("Gemm", {}, 0), ("Gemm", {"transB": 1}, 1)]
)
def test_products_add_up_over_the_inputs_of_one_output(operator: str, attributes: dict[str, int], across: int) -> None:
    one_large = np.zeros((4, 4), np.int8)
    np.fill_diagonal(one_large, 127)
    assert saturating_layers(_layer(one_large, operator=operator, **attributes)) == ()
    two_large = np.zeros((4, 4), np.int8)
    two_large[(slice(None), 0) if across == 0 else (0, slice(None))] = 127
    assert saturating_layers(_layer(two_large, operator=operator, **attributes)) == ("layer",)
    assert saturating_layers(_layer(two_large.T.copy(), operator=operator, **attributes)) == ()


def test_a_model_without_integers_has_no_such_layer() -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "float",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    assert saturating_layers(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])) == ()


def test_layers_without_outputs_or_with_one_input_cannot_saturate() -> None:
    assert not can_saturate(np.zeros((0, 4), np.int8))
    assert not can_saturate(np.full((4, 1), 127, np.int8))
