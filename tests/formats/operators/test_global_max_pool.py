"""GlobalMaxPool between quantized tensors: the largest integer in both formats, to the last bit."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.formats.exact import with_unsigned_weights
from tests.formats.small_graphs import run


def pooled(shape: tuple[int, ...], *, scale_after: float, kind: type = np.uint8, opset: int = 13) -> ModelProto:
    """Return a GlobalMaxPool between DequantizeLinear and QuantizeLinear, as other quantizers write it."""
    constants = {"s": np.float32(0.05), "s2": np.float32(scale_after), "z": kind(20), "z2": kind(7)}
    after = ["s", "z"] if scale_after == 0.05 else ["s2", "z2"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="d"),
        helper.make_node("GlobalMaxPool", ["d"], ["m"], name="pool"),
        helper.make_node("QuantizeLinear", ["m", *after], ["q2"], name="q2"),
        helper.make_node("DequantizeLinear", ["q2", *after], ["y"], name="d2"),
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*shape[:2], *[1] * (len(shape) - 2)])]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "pooled", given, made, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def operators(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("scale_after", [0.05, 0.03])
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 2, 7), (1, 2, 3, 2, 3)])
def test_both_formats_give_the_largest_number_to_the_last_bit(
    shape: tuple[int, ...], scale_after: float, opset: int, kind: type
) -> None:
    source = pooled(shape, scale_after=scale_after, kind=kind, opset=opset)
    image = {"x": np.random.default_rng(0).normal(0, 2, shape).astype(np.float32)}
    expected = run(source, image, optimize=False)[0]
    qlinear = to_qlinear(source)
    for model in (qlinear, to_qdq(source), to_qdq(qlinear), to_qlinear(to_qdq(qlinear))):
        onnx.checker.check_model(model, full_check=True)
        np.testing.assert_array_equal(run(model, image)[0], expected)
    np.testing.assert_array_equal(run(with_unsigned_weights(qlinear), image)[0], expected)
    # Optimized, onnxruntime drops the second of two roundings.
    np.testing.assert_array_equal(run(canonical(qlinear), image, optimize=False)[0], expected)


def test_it_works_on_integers_in_qlinear_and_on_the_way_back() -> None:
    qlinear = to_qlinear(pooled((1, 3, 4, 4), scale_after=0.05))

    assert operators(qlinear) == ["QuantizeLinear", "ReduceMax", "DequantizeLinear"]
    assert operators(to_qdq(qlinear)) == operators(qlinear)
    assert operators(canonical(qlinear)).count("DequantizeLinear") == 2


def test_a_pool_whose_result_stays_float_is_left_alone() -> None:
    source = pooled((1, 3, 4, 4), scale_after=0.05)
    del source.graph.node[3:]
    source.graph.output[0].name = "m"

    assert operators(to_qlinear(source)) == ["QuantizeLinear", "DequantizeLinear", "GlobalMaxPool"]


def test_a_pool_of_unknown_rank_is_left_alone() -> None:
    source = pooled((1, 3, 4, 4), scale_after=0.05)
    for value in (source.graph.input[0], source.graph.output[0]):
        value.type.tensor_type.ClearField("shape")

    assert "GlobalMaxPool" in operators(to_qlinear(source))
