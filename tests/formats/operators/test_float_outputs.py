"""Products of integers whose result stays float: no tie among the scores comes from quantizing them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.formats import to_qdq, to_qlinear
from tests.formats.small_graphs import QLinearGraph, run


def _float_scores(kind: str) -> tuple[ModelProto, QLinearGraph]:
    """Return a QDQ model whose last Gemm or MatMul is not quantized."""
    build = QLinearGraph(seed=5)
    x = build.flatten(build.conv(build.quantized_input((2, 4, 6, 6)), 8))
    source = to_qdq(build.model(build.gemm(x, 10) if kind == "Gemm" else build.matmul(x, 10)))
    last = next(node for node in source.graph.node if node.op_type == kind)
    del source.graph.output[:]
    source.graph.output.append(helper.make_tensor_value_info(last.output[0], TensorProto.FLOAT, [2, 10]))
    return to_qdq(source), build  # without what nothing reads now


@pytest.mark.parametrize(("kind", "integer"), [("Gemm", "QGemm"), ("MatMul", "MatMulIntegerToFloat")])
def test_a_product_with_float_scores_multiplies_integers(kind: str, integer: str) -> None:
    source, build = _float_scores(kind)
    qlinear = to_qlinear(source)
    onnx.checker.check_model(qlinear, full_check=True)
    assert qlinear.graph.node[-1].op_type == integer
    images = build.images()
    expected = run(qlinear, images)[0]
    for model in (source, to_qdq(qlinear), to_qlinear(to_qdq(qlinear))):
        np.testing.assert_array_equal(run(model, images)[0], expected)
    assert to_qdq(qlinear).graph.node[-1].op_type == kind


def _with_added(values: NDArray[np.float32], *, read_twice: bool = False) -> tuple[ModelProto, QLinearGraph]:
    """Return the same with something added to the scores of its MatMul, which are an output themselves if asked."""
    source, build = _float_scores("MatMul")
    product = source.graph.output[0].name
    source.graph.initializer.append(numpy_helper.from_array(values, "added"))
    source.graph.node.append(helper.make_node("Add", ["added", product], ["sum"], name="bias"))
    if not read_twice:
        del source.graph.output[:]
    source.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, [2, 10]))
    return source, build


def test_a_product_adds_its_bias_itself() -> None:
    source, build = _with_added(np.linspace(-1, 1, 10, dtype=np.float32))
    qlinear = to_qlinear(source)
    onnx.checker.check_model(qlinear, full_check=True)
    last = qlinear.graph.node[-1]
    assert (last.op_type, last.input[6]) == ("MatMulIntegerToFloat", "added")
    expected = run(source, build.images())[0]
    for model in (qlinear, to_qdq(qlinear), to_qlinear(to_qdq(qlinear))):
        np.testing.assert_allclose(run(model, build.images())[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "read_twice"),
    [(np.ones((2, 10), np.float32), False), (np.ones(1, np.float32), False), (np.ones(10, np.float32), True)],
)
def test_what_is_no_bias_stays_an_add(values: NDArray[np.float32], read_twice: bool) -> None:
    source, build = _with_added(values, read_twice=read_twice)
    qlinear = to_qlinear(source)
    assert [node.op_type for node in qlinear.graph.node][-2:] == ["MatMulIntegerToFloat", "Add"]
    for scores, expected in zip(run(qlinear, build.images()), run(source, build.images()), strict=True):
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
