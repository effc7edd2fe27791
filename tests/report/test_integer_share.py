from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.report.integer_share import arithmetic_of

_CONV = 4 * 6 * 6 * 3 * 3 * 3
_GEMM = 5 * 144


def _net(*, quantized: bool) -> onnx.ModelProto:
    """A Conv of 3888 multiply-adds, quantized or not, before a float Gemm of 720."""
    wide = np.ones((4, 3, 3, 3))
    constants = {"g": np.ones((5, 144), np.float32)}
    tail = [
        helper.make_node("Flatten", ["c"], ["v"]),
        helper.make_node("Gemm", ["v", "g"], ["scores"], transB=1),
    ]
    if quantized:
        constants |= {"s": np.array(0.1, np.float32), "z": np.array(0, np.uint8), "w": wide.astype(np.int8)}
        constants |= {"i": np.array(0, np.int8)}
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("QLinearConv", ["q", "s", "z", "w", "s", "i", "s", "z"], ["y"]),
            helper.make_node("DequantizeLinear", ["y", "s", "z"], ["c"]),
        ]
    else:
        constants |= {"w": wide.astype(np.float32)}
        nodes = [helper.make_node("Conv", ["x", "w"], ["c"])]
    graph = helper.make_graph(
        [*nodes, *tail],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


def test_an_fp32_model_has_no_int8_arithmetic() -> None:
    arithmetic = arithmetic_of(_net(quantized=False))
    assert (arithmetic.total, arithmetic.int8, arithmetic.share) == (_CONV + _GEMM, 0, 0.0)


def test_only_the_quantized_product_counts() -> None:
    arithmetic = arithmetic_of(_net(quantized=True))
    assert (arithmetic.total, arithmetic.int8) == (_CONV + _GEMM, _CONV)


def test_a_model_without_products_has_no_share() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in ("x", "y")]
    model = helper.make_model(
        helper.make_graph([node], "net", values[:1], values[1:]), opset_imports=[helper.make_opsetid("", 13)]
    )
    assert arithmetic_of(model).share is None


@pytest.mark.real
def test_squeezenet_needs_349_million(squeezenet: Path) -> None:
    assert arithmetic_of(onnx.load(squeezenet)).total == 349_151_936


def test_a_layer_that_is_stored_in_int8_computes_in_fp32() -> None:
    weights = np.random.default_rng(1).integers(-127, 128, (8, 3, 3, 3)).astype(np.int8)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["w8"], ["wc"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["wc", "ws"], ["w"]),
            helper.make_node("Conv", ["x", "w"], ["y"], "conv"),
        ],
        "stored",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 10, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(weights, "w8"),
            numpy_helper.from_array(np.full((8, 1, 1, 1), 0.01, np.float32), "ws"),
        ],
    )
    arithmetic = arithmetic_of(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8))
    assert (arithmetic.total, arithmetic.int8) == (8 * 8 * weights.size, 0)
