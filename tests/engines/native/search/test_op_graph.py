from __future__ import annotations

from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.search.op_graph import head_inputs, head_ops, op_graph
from quantize.recipe import Recipe

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
