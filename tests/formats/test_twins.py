"""Nodes of quantized models are known by the names that quantizers, onnxruntime and the native engine give them."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from quantize.formats.twins import twins
from quantize.graph.view import Graph


def _graph(op_type: str, name: str) -> Graph:
    value = [helper.make_tensor_value_info(at, TensorProto.FLOAT, None) for at in ("x", "y")]
    node = helper.make_node(op_type, ["x", "w"], ["y"], name)
    return Graph.of(helper.make_model(helper.make_graph([node], "one", value[:1], value[1:])))


@pytest.mark.parametrize(
    ("op_type", "name", "own_type", "own_name"),
    [
        ("Conv", "c", "Conv", "c_quant_1"),
        ("Gemm", "fc", "MatMul", "fc_MatMul_quant"),
        ("MatMul", "fc", "MatMul", "fc/MatMulAddFusion_MatMul"),
        ("Gemm", "fc", "MatMul", "fc/GemmTransposeFusion/_MatMul_quant_1_1"),
        ("Gemm", "fc", "Add", "fc/GemmTransposeFusion/_Add"),
        ("ReduceMean", "mean", "GlobalAveragePool", "mean_1"),
        ("HardSwish", "swish", "Mul", "swish_1"),
        ("Div", "swish/Div", "Mul", "swish/Div_1_1"),
        ("MatMul", "qkv", "MatMul", "qkv_part_2_1"),
    ],
)
def test_a_node_is_found_by_what_its_name_became(op_type: str, name: str, own_type: str, own_name: str) -> None:
    assert twins(_graph(op_type, name), _graph(own_type, own_name).nodes) == {own_name: name}


def test_a_node_of_another_operator_is_no_twin() -> None:
    assert twins(_graph("Gemm", "fc"), _graph("Relu", "fc_1").nodes) == {}
