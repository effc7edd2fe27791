from __future__ import annotations

import onnx
from onnx import TensorProto

from quantize.engines.native.builder.qdq import FLOAT_OUTPUTS
from tests.engines.native.builder.small_model import RECIPE, error, quantize_graph, scores


def test_everything_that_onnxruntime_quantizes_is_quantized(model, statistics):
    quantized = quantize_graph(model, RECIPE, statistics)
    types = {tensor.name: tensor.data_type for tensor in quantized.graph.initializer}
    for weight in ("w0", "w1", "w2", "w3", "w4"):
        assert types[f"{weight}_quantized"] == TensorProto.INT8
    assert not any(name in types for name in ("w0", "w1", "w2", "w3", "w4"))


def test_nodes_and_op_types_of_the_recipe_stay_in_fp32(model, statistics):
    quantized = quantize_graph(model, RECIPE.but(float_nodes=("conv0",), float_op_types=("Gemm",)), statistics)
    names = {tensor.name for tensor in quantized.graph.initializer}
    assert {"w0", "w4"} <= names
    assert "w1_quantized" in names


def test_scores_can_stay_float(model, statistics):
    quantized = quantize_graph(model, RECIPE.but(details=((FLOAT_OUTPUTS, "true"),)), statistics)
    onnx.checker.check_model(quantized, full_check=True)
    assert next(node for node in quantized.graph.node if "scores" in node.output).op_type == "Gemm"
    assert error(model, quantized) < 0.01 * scores(model).var()
