"""Which operator of the fp32 model a node that ran comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.graph.regions import functions, regions
from quantize.graph.view import Graph
from quantize.measurement.operators.multiply_adds import multiply_adds
from quantize.measurement.operators.origins import find_origins, weight_shapes
from quantize.measurement.operators.trace import NodeTrace
from tests.formats.small_graphs import open_session
from tests.measurement.operators.builders import node
from tests.small_blocks import Net, activated, convnext, transformer


@pytest.fixture
def fp32() -> onnx.ModelProto:
    """Return Conv, Relu, Conv, Clip, Gemm with names such as exporters give."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="/stem/Conv"),
        helper.make_node("Relu", ["a"], ["b"], name="/stem/Relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="/block/Conv", group=8),
        helper.make_node("Clip", ["c"], ["d"], name="/block/Clip"),
        helper.make_node("Flatten", ["d"], ["e"], name="/Flatten"),
        helper.make_node("Gemm", ["e", "w3"], ["y"], name="/fc/Gemm", transB=1),
    ]
    weights = [
        numpy_helper.from_array(np.zeros(shape, np.float32), name)
        for name, shape in (("w1", (8, 3, 3, 3)), ("w2", (8, 1, 3, 3)), ("w3", (10, 128)))
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


@pytest.mark.parametrize(
    ("names", "ops"),
    [
        (("b_nchwc", "d_nchwc", "/fc/Gemm"), ("Conv", "Conv", "Gemm")),
        (
            ("/stem/Conv_quant_token_1", "/block/Conv_token_12", "/fc/Gemm_quant"),
            ("QLinearConv", "QLinearConv", "QGemm"),
        ),
        (("fused /stem/Conv", "fused /block/Conv", "/fc/Gemm/fused"), ("FusedConv", "FusedConv", "FusedGemm")),
        (("Conv_0", "", "Gemm_9"), ("QLinearConv", "QLinearConv", "QLinearMatMul")),
    ],
)
def test_nodes_are_led_back_to_the_fp32_model_by_name_or_order(fp32, names, ops):
    ran = [node(name, op) for name, op in zip(names, ops, strict=True)]
    assert find_origins(fp32, ran) == ["/stem/Conv", "/block/Conv", "/fc/Gemm"]


def test_names_that_say_nothing_are_matched_by_the_weights_shapes_whatever_the_order(fp32):
    ran = [node(name, op) for name, op in (("q2", "QLinearMatMul"), ("q1", "QLinearConv"), ("q0", "QLinearConv"))]
    shapes = {"q0": (8, 3, 3, 3), "q1": (8, 1, 3, 3), "q2": (128, 10)}
    assert find_origins(fp32, ran, shapes) == ["/fc/Gemm", "/block/Conv", "/stem/Conv"]
    rewritten = {**shapes, "q0": (8, 12, 2, 2)}
    assert find_origins(fp32, ran, rewritten) == ["/fc/Gemm", "/block/Conv", "/stem/Conv"]


def test_an_operator_computed_as_another_keeps_its_name(fp32):
    fp32.graph.node.append(helper.make_node("GlobalAveragePool", ["d"], ["p"], name="/pool"))
    ran = [node("/pool", "QLinearMatMul"), node("/fc/Gemm_MatMul_quant", "QLinearMatMul")]
    assert find_origins(fp32, ran) == ["/pool", "/fc/Gemm"]


def test_a_numbered_name_leads_to_the_same_operator_once(fp32):
    fp32.graph.node.append(helper.make_node("MaxPool", ["d"], ["p"], name="/pool"))
    fp32.graph.node.append(helper.make_node("GlobalAveragePool", ["p"], ["m"], name="/mean"))
    ran = [
        node("/pool_quant_1_1_token_86", "NhwcMaxPool"),
        node("p_3", "NhwcMaxPool"),
        node("/block/Clip_1", "Reshape"),
        node("/mean_2_1", "MatMulIntegerToFloat"),
    ]
    assert find_origins(fp32, ran) == ["/pool", None, None, "/mean"]


def _attention() -> onnx.ModelProto:
    """Return a product with weights, and two of activations, in the names that PyTorch gives."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["t"], name="/attn/qkv/MatMul"),
        helper.make_node("Add", ["t", "b"], ["q"], name="/attn/qkv/Add"),
        helper.make_node("MatMul", ["q", "q"], ["s"], name="/attn/MatMul"),
        helper.make_node("Softmax", ["s"], ["p"], name="/attn/Softmax"),
        helper.make_node("MatMul", ["p", "q"], ["y"], name="/attn/MatMul_1"),
    ]
    return helper.make_model(helper.make_graph(nodes, "g", [], []), opset_imports=[helper.make_opsetid("", 13)])


@pytest.mark.parametrize(
    "names",
    [
        ("/attn/qkv/MatMul_1", "/attn/MatMul_2", "/attn/MatMul_1_1"),  # the QLinear form's
        ("/attn/qkv/MatMul", "/attn/MatMul", "/attn/MatMul_1"),
        ("/attn/qkv/Add_1", "/attn/MatMul_3", "/attn/MatMul_1_2_token_7"),
    ],
)
def test_a_product_with_a_float_result_is_led_back_by_its_numbered_name(names):
    model = _attention()
    ops = ("MatMulIntegerToFloat", "MatMulIntegerToFloat", "QLinearMatMul")
    ran = [node(name, op) for name, op in zip(names, ops, strict=True)]
    assert find_origins(model, ran) == ["/attn/qkv/MatMul", "/attn/MatMul", "/attn/MatMul_1"]


@pytest.mark.parametrize("name", ["/norm", "/norm_2_1_token_4"])
def test_a_normalization_computed_as_a_convolution_is_no_part_of_the_one_before(fp32, name):
    fp32.graph.node.append(helper.make_node("BatchNormalization", ["b", *"1234"], ["n"], name="/norm"))
    ran = [node("/stem/Conv_1", "QLinearConv"), node(name, "QLinearConv"), node("/block/Conv_1", "QLinearConv")]
    assert find_origins(fp32, ran) == ["/stem/Conv", "/norm", "/block/Conv"]


def test_a_pool_that_is_a_convolution_and_a_product_keeps_both():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="first"),
        helper.make_node("AveragePool", ["a"], ["b"], name="pool", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Conv", ["b", "w"], ["y"], name="second"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 8, 8]) for name in "xy"]
    weights = [numpy_helper.from_array(np.zeros((4, 4, 1, 1), np.float32), "w")]
    model = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:], weights))
    ran = [
        node(name, op_type)
        for name, op_type in (
            ("first_2_token_1", "QLinearConv"),
            ("pool_sums_4_1_token_2", "QLinearConv"),
            ("pool_5_token_3", "QLinearMul"),
            ("second_6_token_4", "QLinearConv"),
        )
    ]
    assert find_origins(model, ran) == ["first", "pool", "pool", "second"]


def test_the_weights_of_products_are_read_from_the_graph_that_runs():
    weights = numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.int8), "w")
    conv = helper.make_node("QLinearConv", ["x", "s", "z", "w", "ws", "wz", "ys", "yz"], ["y"], name="conv")
    product = helper.make_node("MatMul", ["y", "unknown"], ["t"], name="product")
    graph = helper.make_graph([conv, product], "g", [], [], [weights])
    assert weight_shapes(helper.make_model(graph)) == {"conv": (8, 3, 3, 3)}


def test_what_is_named_after_a_tensor_it_converts_has_no_origin(fp32):
    ran = [
        node("b_QuantizeLinear", "QuantizeLinear"),
        node("b", "DequantizeLinear"),
        node("Transpose_token_3", "Transpose"),
    ]
    assert find_origins(fp32, ran) == [None, None, None]


def test_unknown_names_stay_unknown_if_the_numbers_of_products_differ(fp32):
    assert find_origins(fp32, [node("one", "QLinearConv"), node("/block/Clip", "Clip")]) == [None, "/block/Clip"]


def test_multiply_adds_follow_the_sizes_that_ran_and_the_weights(fp32):
    ran = [
        NodeTrace("b_nchwc", "Conv", (("float", (2, 3, 8, 8)),), (("float", (2, 16, 6, 6)),), (1,)),
        NodeTrace("d_nchwc", "Conv", (("float", (2, 8, 6, 6)),), (("float", (2, 8, 4, 4)),), (1,)),
        NodeTrace("/Flatten", "Flatten", (("float", (2, 8, 4, 4)),), (("float", (2, 128)),), (1,)),
        NodeTrace("/fc/Gemm", "Gemm", (("float", (2, 128)),), (("float", (2, 10)),), (1,)),
    ]
    assert multiply_adds(fp32, ran, find_origins(fp32, ran)) == {
        "/stem/Conv": 2 * 36 * 8 * 3 * 9,
        "/block/Conv": 2 * 16 * 8 * 1 * 9,
        "/fc/Gemm": 2 * 10 * 128,
    }


@pytest.mark.parametrize("kind", ["hard swish", "silu"])
def test_what_computes_a_function_together_comes_from_its_last_node(kind):
    model = activated(kind)
    last = next(functions(Graph.of(model)))[-1].name
    names = (f"{last}_Add_1", f"{last}_1_1", f"{last}_Sigmoid", last)
    ran = [node(name, op) for name, op in zip(names, ("QLinearAdd", "QLinearMul", "Sigmoid", "Mul"), strict=True)]
    assert find_origins(model, ran) == [last] * len(ran)
    assert find_origins(model, [node(f"{last}_Add_1", "QuantizeLinear"), node("Other_Add_1", "Add")]) == [None, None]


def _as_it_runs(model: onnx.ModelProto, folder: Path) -> tuple[list[NodeTrace], list[str | None]]:
    """Return the nodes that onnxruntime makes of a model, and where they come from."""
    file = folder / "runs.onnx"
    open_session(model, optimized=str(file), exact=False)
    runs = onnx.load(file)
    nodes = [node(own.name, own.op_type) for own in runs.graph.node]
    return nodes, find_origins(model, nodes, weight_shapes(runs), runs)


@pytest.mark.parametrize("kind", ["silu", "gelu", "hard swish"])
def test_a_function_that_onnxruntime_makes_one_node_of_comes_from_its_last_node(kind, tmp_path):
    model = activated(kind)
    nodes, origins = _as_it_runs(model, tmp_path)
    ends = [own[-1].name for own in functions(Graph.of(model))]
    ran = [origin for own, origin in zip(nodes, origins, strict=True) if own.op_type not in ("Conv", "Flatten")]
    assert [name for name in ran if name in ends] == ([] if kind == "hard swish" else ends), "a Conv takes HardSwish in"
    assert None not in [origin for own, origin in zip(nodes, origins, strict=True) if "Reorder" not in own.op_type]


@pytest.mark.parametrize("made", [transformer, convnext])
@pytest.mark.parametrize("opset", [13, 17])
def test_a_gelu_and_a_normalization_of_many_nodes_come_from_their_last_ones(made, opset, tmp_path):
    model = made(opset)
    nodes, origins = _as_it_runs(model, tmp_path)
    found = {origin for own, origin in zip(nodes, origins, strict=True) if "Gelu" in own.op_type}
    found |= {origin for own, origin in zip(nodes, origins, strict=True) if "LayerNorm" in own.op_type}
    many = [region for region in regions(Graph.of(model)) if region.kind != "biased product"]
    one = {own.name for own in model.graph.node if own.op_type == "LayerNormalization"}
    assert found == {region.nodes[-1].name for region in many} | one


def test_a_graph_whose_nodes_are_not_those_that_ran_tells_nothing():
    net = Net()
    net.op("Mul", "x", net.op("Sigmoid", "x"))
    model = helper.make_model(helper.make_graph(net.nodes, "g", [], []))
    ran, fused = [node("new", "QuickGelu")], helper.make_node("QuickGelu", ["x"], ["t1"], "new")
    runs = helper.make_model(helper.make_graph([fused], "g", [], []))
    assert find_origins(model, ran, None, runs) == ["Mul_1"]
    fused.name = "another"
    assert find_origins(model, ran, None, helper.make_model(helper.make_graph([fused], "g", [], []))) == [None]


def test_a_move_of_onnxruntimes_own_behind_a_node_is_not_that_node():
    net = Net()
    net.op("Transpose", net.op("Relu", "x"), perm=[0, 2, 3, 1])
    model = helper.make_model(helper.make_graph(net.nodes, "g", [], []))
    added = helper.make_node("Transpose", ["inner"], ["t0_QuantizeLinear_Output"], "added")
    moved = helper.make_node("Transpose", ["t0"], ["t1"], "moved")
    runs = helper.make_model(helper.make_graph([added, moved], "g", [], []))
    ran = [node("added", "Transpose"), node("moved", "Transpose")]
    assert find_origins(model, ran, None, runs) == [None, "Transpose_1"]
