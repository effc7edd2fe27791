"""Nodes that change nothing are removed, and every node has a unique name."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from quantize.graph.cleaning import drop_idle_casts, name_nodes, remove_pass_through, rename_namesakes
from quantize.graph.shapes import inferred_types
from quantize.graph.view import Graph
from tests.graph.small_models import WEIGHTS, after, conv, model_of, operators, run


def test_operators_that_do_nothing_go_and_outputs_keep_their_names() -> None:
    constants = {**WEIGHTS, "pads": np.zeros(8, np.int64)}
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["p"]),
        conv("p", "t"),
        helper.make_node("Identity", ["t"], ["i"]),
        helper.make_node("Dropout", ["i"], ["y", "mask"]),
    ]
    model = model_of(nodes, constants)
    cleaned = after(remove_pass_through, model)

    assert operators(cleaned) == ["Conv"]
    assert cleaned.graph.node[0].output == ["y"]
    np.testing.assert_array_equal(run(cleaned)[0], run(model)[0])


def test_a_cast_to_the_type_that_is_there_does_nothing_and_others_stay() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["same"], to=TensorProto.FLOAT),
        conv("same", "t"),
        helper.make_node("Cast", ["t"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["half"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["whole"], ["y"], to=TensorProto.FLOAT),
    ]
    model = model_of(nodes, WEIGHTS)

    def dropped(graph: Graph) -> None:
        drop_idle_casts(graph, inferred_types(model))
        remove_pass_through(graph)

    cleaned = after(dropped, model)
    assert operators(cleaned) == ["Conv", "Cast", "Cast"]
    np.testing.assert_array_equal(run(cleaned)[0], run(model)[0])


def test_an_identity_between_input_and_output_stays() -> None:
    model = model_of([helper.make_node("Identity", ["x"], ["y"])], {})

    assert operators(after(remove_pass_through, model)) == ["Identity"]


def test_one_tensor_under_two_output_names_stays_computable() -> None:
    nodes = [conv("x", "y"), helper.make_node("Identity", ["y"], ["z"])]
    model = model_of(nodes, WEIGHTS, outputs=("y", "z"))
    cleaned = after(remove_pass_through, model)

    for scores, expected in zip(run(cleaned), run(model), strict=True):
        np.testing.assert_array_equal(scores, expected)


def test_a_dropout_whose_mask_is_read_stays() -> None:
    nodes = [
        conv("x", "t"),
        helper.make_node("Dropout", ["t"], ["d", "mask"]),
        helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["d", "m"], ["y"]),
    ]

    assert "Dropout" in operators(after(remove_pass_through, model_of(nodes, WEIGHTS)))


def test_a_tensor_that_a_branch_reads_keeps_its_name() -> None:
    value = helper.make_tensor_value_info("r", TensorProto.FLOAT, None)
    branches = [
        helper.make_graph([helper.make_node(name, ["i"], ["r"])], name, [], [value]) for name in ("Relu", "Neg")
    ]
    nodes = [
        conv("x", "t"),
        helper.make_node("Identity", ["t"], ["i"]),
        helper.make_node("If", ["flag"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    model = model_of(nodes, {**WEIGHTS, "flag": np.array(True)})
    cleaned = after(remove_pass_through, model)

    assert operators(cleaned) == ["Conv", "If"]
    np.testing.assert_array_equal(run(cleaned)[0], run(model)[0])


def test_nodes_get_names_that_are_theirs_alone() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"], name="Relu_a"),
        helper.make_node("Relu", ["b"], ["c"], name="Relu_a"),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    name_nodes(nodes)

    assert [node.name for node in nodes] == ["Relu_a_2", "Relu_a", "Relu_a_3", "Relu_y"]


def test_namesakes_get_names_of_their_own_inside_nodes_too_and_that_is_told() -> None:
    inner = helper.make_graph(
        [helper.make_node("Neg", ["t"], ["n"], "same"), helper.make_node("Neg", ["n"], ["r"], "same")],
        "inner",
        [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "relu"),
        helper.make_node("Relu", ["a"], ["b"], "relu_2"),
        helper.make_node("Relu", ["b"], ["c"], "relu"),
        helper.make_node("Relu", ["c"], ["t"], "relu"),
        helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner),
    ]
    model = model_of(nodes, {"yes": np.array(True)})
    told = rename_namesakes(model.graph)
    assert [node.name for node in model.graph.node] == ["relu", "relu_2", "relu_3", "relu_4", ""]
    assert told[0] == "3 nodes are named 'relu': all but the first are called 'relu_3', 'relu_4' here."
    assert len(told) == 3
    run(model)
