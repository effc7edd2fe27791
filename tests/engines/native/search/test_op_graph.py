from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.search.op_graph import head_inputs, head_ops, op_graph
from quantize.recipe import Recipe
from tests.small_blocks import activated, convnext, transformer

OP_TYPES = op_types_of(Recipe(engine="native"))


def test_an_activation_belongs_to_the_op_before_it(model):
    graph = op_graph(model.proto(), OP_TYPES)
    stem = next(op for op in graph.ops if op.name == "stem")
    assert stem.node_names == ("stem", "stem_relu")
    assert (stem.inputs, stem.output) == (("x",), "r0")
    last = next(op for op in graph.ops if op.name == "last")
    assert last.inputs == ("pooled",)
    assert last.output == "r3"


def test_ops_that_only_move_values_are_told_apart(model):
    graph = op_graph(model.proto(), (*OP_TYPES, "Flatten"))  # which onnxruntime 1.23 and older do not quantize
    assert {op.name for op in graph.ops if op.moving} == {"concat", "pool", "flatten"}


def test_a_tensor_knows_its_producer_and_its_consumers_and_its_size(model):
    graph = op_graph(model.proto(), OP_TYPES)
    assert graph.producers["cat"].name == "concat"
    assert [op.name for op in graph.consumers["r0"]] == ["left", "right"]
    assert graph.elements["x"] == 3 * 16 * 16
    assert graph.elements["r0"] == 8 * 7 * 7
    assert (graph.image, graph.scores) == ("x", "scores")


def test_a_relu_that_something_else_shares_is_an_op_of_its_own(model):
    proto = model.proto()
    right = next(node for node in proto.graph.node if node.name == "right")
    right.input[0] = "c0"
    graph = op_graph(proto, OP_TYPES)
    assert next(op for op in graph.ops if op.name == "stem").node_names == ("stem",)
    assert next(op for op in graph.ops if op.name == "stem_relu").inputs == ("c0",)


def test_the_head_is_what_follows_the_last_layer_with_weights(model):
    graph = op_graph(model.proto(), (*OP_TYPES, "Flatten"))
    head = head_ops(graph, {"stem", "left", "right", "last"})
    assert head == {"gap", "flatten", "softmax"}
    assert head_inputs(graph, head) == {"r3"}


def test_what_ops_that_are_never_quantized_take_is_taken_in_fp32(model):
    graph = op_graph(model.proto(), ("Conv",))
    assert graph.float_tensors >= {"r1", "r2", "r3", "scores"}
    nothing = frozenset()
    assert graph.is_taken_in_fp32("r1", nothing)
    assert not graph.is_taken_in_int8("r1", nothing)
    assert graph.is_taken_in_int8("r0", frozenset({"left"}))
    assert not graph.is_taken_in_int8("r0", frozenset({"left", "right"}))
    assert graph.is_made_in_int8("r0", frozenset({"left", "right"}))
    assert not graph.is_made_in_int8("x", nothing)


def test_a_function_of_several_nodes_is_one_op_between_its_tensors():
    proto = activated("gelu")
    graph = op_graph(proto, OP_TYPES)
    functions = [op for op in graph.ops if op.function]
    convs = [op for op in graph.ops if op.op_type == "Conv"]
    assert [op.inputs for op in functions] == [(convs[0].output,), (convs[1].output,)]
    assert [op.output for op in functions] == [convs[1].inputs[0], convs[2].inputs[0]]
    assert all(len(op.nodes) == 5 for op in functions)


def test_a_function_of_one_node_is_one_op_too():
    graph = op_graph(activated("HardSwish"), OP_TYPES)
    functions = [op for op in graph.ops if op.function]
    assert [(op.op_type, len(op.nodes)) for op in functions] == [("HardSwish", 1)] * 2
    assert {op.output for op in functions} & {name for op in graph.ops for name in op.inputs}


def test_a_function_that_has_an_integer_operator_is_an_op_like_any_other():
    graph = op_graph(activated("Sigmoid"), OP_TYPES)
    assert [op.function for op in graph.ops if op.op_type == "Sigmoid"] == [False, False]


def test_a_matmul_has_its_bias_and_gives_floats_for_nothing():
    graph = op_graph(transformer(), OP_TYPES)
    layers = [op for op in graph.ops if op.op_type == "MatMul" and op.has_constants]
    assert all(len(op.nodes) == 2 for op in layers)
    assert len(layers) == 12
    assert all(graph.dequantized_elements(op.output) == 0 for op in layers)


def test_what_a_normalization_gives_may_be_quantized_and_what_it_takes_stays_in_fp32():
    for opset in (13, 17):
        graph = op_graph(transformer(opset), OP_TYPES)
        assert len(graph.float_made) == 5
        assert all(graph.is_taken_in_int8(name, frozenset()) for name in graph.float_made)
        assert not any(graph.is_made_in_int8(name, frozenset()) for name in graph.float_made)


def test_attention_stays_in_fp32_between_its_products():
    proto = transformer()
    graph = op_graph(proto, OP_TYPES)
    head = head_ops(graph, {layer.node for layer in layers(proto)})
    assert {op.name for op in graph.ops if op.op_type == "Softmax"} <= head
    assert not {op.name for op in graph.ops if op.op_type in ("MatMul", "Gemm", "Conv")} & head
    sums = [op for op in graph.ops if op.op_type == "Add"]
    assert len(sums) == 5
    assert {op.name for op in sums} <= head


def test_a_sum_that_a_conv_takes_may_be_int8():
    proto = convnext()
    graph = op_graph(proto, OP_TYPES)
    first = next(op for op in graph.ops if op.op_type == "Add")
    assert first.name not in head_ops(graph, {layer.node for layer in layers(proto)})


def test_a_consumer_through_any_output_of_a_split_counts():
    """A ShuffleNet unit: one half goes on as it is, the other through a Conv."""
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], "stem"),
        helper.make_node("Split", ["a"], ["left", "right"], "split", axis=1),
        helper.make_node("Conv", ["right", "w1"], ["b"], "conv"),
        helper.make_node("Concat", ["left", "b"], ["c"], "concat", axis=1),
        helper.make_node("GlobalAveragePool", ["c"], ["scores"], "gap"),
    ]
    constants = {"w0": np.zeros((8, 3, 1, 1), np.float32), "w1": np.zeros((4, 4, 1, 1), np.float32)}
    image, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "scores"))
    image.type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 3, 6, 6]))
    stored = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "unit", [image], [result], stored), opset_imports=[helper.make_opsetid("", 13)]
    )
    graph = op_graph(model, OP_TYPES)
    assert [op.name for op in graph.consumers["left"]] == ["conv", "concat"]
    assert head_ops(graph, {"stem", "conv"}) == {"concat", "gap"}
