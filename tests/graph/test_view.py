"""The view of a graph: readers of tensors, including those in bodies, and edits."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.errors import ModelError
from quantize.graph.opsets.raising import raise_graph
from quantize.graph.view import Graph
from tests.graph.small_models import WEIGHTS, conv, model_of, operators, run


def branch(name: str, *nodes: NodeProto, result: str = "r", constants: tuple[TensorProto, ...] = ()) -> GraphProto:
    value = helper.make_tensor_value_info(result, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [value], constants)


def with_branches(then: GraphProto, other: GraphProto, *before: NodeProto) -> ModelProto:
    nodes = [conv("x", "t"), *before, helper.make_node("If", ["flag"], ["y"], then_branch=then, else_branch=other)]
    return model_of(nodes, {**WEIGHTS, "flag": np.array(True)})


def relu_or_neg(source: str, *before: NodeProto) -> ModelProto:
    then, other = (branch(name, helper.make_node(name, [source], ["r"])) for name in ("Relu", "Neg"))
    return with_branches(then, other, *before)


def test_a_node_reads_what_its_branches_take_from_outside() -> None:
    graph = Graph(relu_or_neg("t"))

    assert [node.op_type for node in graph.consumers("t")] == ["If"]
    assert graph.consumers("r") == []
    assert graph.sole_consumer("t") is None  # no input of the node itself


def test_a_branch_reads_on_when_a_tensor_is_replaced() -> None:
    model = relu_or_neg("i", helper.make_node("Identity", ["t"], ["i"]))
    graph = Graph(model)
    graph.bypass(graph.nodes[1])
    edited = graph.model()

    assert operators(edited) == ["Conv", "If"]
    np.testing.assert_array_equal(run(edited)[0], run(model)[0])


def test_a_branch_that_gives_an_outer_tensor_itself_gives_the_new_one() -> None:
    before = helper.make_node("Identity", ["t"], ["i"])
    model = with_branches(branch("then", result="i"), branch("else", helper.make_node("Neg", ["i"], ["r"])), before)
    graph = Graph(model)
    graph.replace_uses("i", "t")
    edited = graph.model()

    assert [value.name for value in edited.graph.node[-1].attribute[0].g.output] in (["t"], ["r"])
    assert operators(edited) == ["Conv", "If"]


def test_a_branchs_own_tensor_of_the_same_name_keeps_it() -> None:
    own = branch("then", helper.make_node("Relu", ["t"], ["i"]), helper.make_node("Neg", ["i"], ["r"]))
    graph = Graph(with_branches(own, branch("else", helper.make_node("Neg", ["t"], ["r"]))))
    graph.replace_uses("i", "t")

    (then,) = (body for body in graph.bodies(graph.nodes[-1]) if len(body.nodes) == 2)
    assert then.nodes[1].input[0] == "i"


def test_a_branch_is_raised_with_the_graph_around_it() -> None:
    axes = branch("then", helper.make_node("Unsqueeze", ["t"], ["r"], axes=[0]))
    other = branch("else", helper.make_node("Unsqueeze", ["t"], ["n"], axes=[0]), helper.make_node("Neg", ["n"], ["r"]))
    model = with_branches(axes, other)
    model.opset_import[0].version = 12
    graph = Graph(model)
    raise_graph(graph, 13)
    raised = graph.model()

    np.testing.assert_array_equal(run(raised)[0], run(model)[0])


def test_an_outer_constant_is_one_in_a_branch() -> None:
    graph = Graph(relu_or_neg("t"))
    body = graph.bodies(graph.nodes[-1])[0]

    assert body.constant("w") is not None
    assert body.constant("t") is None


def test_constants_of_every_kind_are_initializers() -> None:
    nodes = [
        helper.make_node("Constant", [], ["a"], value=numpy_helper.from_array(np.ones(3, np.float32))),
        helper.make_node("Constant", [], ["b"], value_floats=[1.0, 2.0, 3.0]),
        helper.make_node("Mul", ["a", "b"], ["c"]),
        helper.make_node("Mul", ["x", "c"], ["y"]),
    ]
    graph = Graph(model_of(nodes, {}))
    values = graph.constant("b")

    assert operators(graph.model()) == ["Mul", "Mul"]
    assert values is not None
    assert values.tolist() == [1.0, 2.0, 3.0]


def test_weights_stored_in_int8_count_as_what_they_are_computed_as() -> None:
    constants = {"l": np.arange(-3, 3, dtype=np.int8), "s": np.float32([0.5])}
    nodes = [
        helper.make_node("Cast", ["l"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "s"], ["w"]),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    graph = Graph(model_of(nodes, constants))

    np.testing.assert_array_equal(graph.constant("w"), np.arange(-3, 3) * np.float32(0.5))
    stored = graph.stored_weights("w")
    assert stored is not None
    assert [tensor.name for tensor in stored] == ["l", "s"]
    assert graph.stored_weights("f") is None


def test_names_that_are_taken_get_a_number() -> None:
    model = model_of([conv("x", "y")], WEIGHTS)

    assert [Graph(model).fresh("w"), Graph(model, numbers_from=2).fresh("w")] == ["w_1", "w_2"]


def test_nodes_are_sorted_and_otherwise_keep_the_order_they_were_added_in() -> None:
    graph = Graph(model_of([helper.make_node("Add", ["a", "b"], ["y"])], {}))
    graph.add("Relu", ["x"], ["b"])
    graph.add("Neg", ["x"], ["a"])

    assert [node.op_type for node in graph.sorted_nodes()] == ["Relu", "Neg", "Add"]


def test_a_graph_with_a_cycle_is_the_users_to_fix() -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["y"]), helper.make_node("Relu", ["y"], ["b"])]

    with pytest.raises(ModelError, match="cycle"):
        Graph(model_of(nodes, {})).model()
