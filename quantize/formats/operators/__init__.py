"""The operators that exist in both formats, one file per operator or family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

from onnx import NodeProto

from quantize.formats.operators import concat, conv, elementwise, gemm, global_max_pool, matmul, unary
from quantize.formats.qdq_pattern import QdqPattern
from quantize.graph.nodes import DEFAULT_DOMAIN, MICROSOFT
from quantize.graph.view import Graph

_ROWS: tuple[tuple[str, str, str, ModuleType], ...] = (
    (DEFAULT_DOMAIN, "QLinearConv", "Conv", conv),
    (MICROSOFT, "QLinearConv", "", conv),
    (DEFAULT_DOMAIN, "QLinearMatMul", "MatMul", matmul),
    (MICROSOFT, "QGemm", "Gemm", gemm),
    (MICROSOFT, "QLinearAdd", "Add", elementwise),
    (MICROSOFT, "QLinearMul", "Mul", elementwise),
    (MICROSOFT, "QLinearConcat", "Concat", concat),
    (MICROSOFT, "QLinearGlobalAveragePool", "GlobalAveragePool", unary),
    (MICROSOFT, "QLinearAveragePool", "AveragePool", unary),
    (MICROSOFT, "QLinearSigmoid", "Sigmoid", unary),
    (MICROSOFT, "QLinearLeakyRelu", "LeakyRelu", unary),
    (MICROSOFT, "QLinearReduceMean", "ReduceMean", unary),
    (MICROSOFT, "QLinearSoftmax", "Softmax", unary),
    (MICROSOFT, "QLinearWhere", "Where", elementwise),
    (DEFAULT_DOMAIN, "", "GlobalMaxPool", global_max_pool),
)
"""Domain and type of the integer operator ("" where a moving operator does it), the float operator, and their file."""

QLINEAR_OPERATORS: Mapping[tuple[str, str], Callable[[Graph, NodeProto], bool]] = {
    **{(domain, integer): module.to_qdq for domain, integer, _, module in _ROWS if integer},
    (MICROSOFT, "MatMulIntegerToFloat"): matmul.float_output_to_qdq,
}
"""Replaces an integer operator, found by domain and type, by its QDQ pattern; False where it must stay."""

FLOAT_OPERATORS: Mapping[str, Callable[[Graph, QdqPattern], bool]] = {
    name: module.to_qlinear for _, _, name, module in _ROWS if name
}
"""Replaces the QDQ pattern around a float operator by an integer operator; False where it must stay."""

FLOAT_OUTPUTS: Mapping[str, Callable[[Graph, NodeProto], bool]] = {
    "Gemm": gemm.to_float_output,
    "MatMul": matmul.to_float_output,
}
"""Replaces a float operator on dequantized inputs by one that multiplies integers; False where it must stay."""
