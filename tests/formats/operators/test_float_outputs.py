"""Products of integers whose result stays float: no tie among the scores comes from quantizing them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

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
