"""An If whose branch is known is replaced by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.graph.branches import store_known_sizes, take_known_branches
from quantize.graph.view import Graph
from quantize.models.folding import fold_constants
from tests.graph.small_models import model_of, operators, run


def branch(nodes: list[NodeProto], *results: str, constants: dict[str, Any] | None = None) -> Any:
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results]
    return helper.make_graph(nodes, "branch", [], given, stored)


def known(model: ModelProto) -> ModelProto:
    graph = Graph(model)
    store_known_sizes(graph)
    fold_constants(graph)
    take_known_branches(graph)
    return graph.model()


@pytest.mark.parametrize("condition", [True, False])
def test_the_branch_that_is_taken_stands_in_its_place(condition: bool) -> None:
    then = branch([helper.make_node("Relu", ["a"], ["inner"]), helper.make_node("Neg", ["inner"], ["yt"])], "yt")
    other = branch([helper.make_node("Add", ["a", "step"], ["ye"])], "ye", constants={"step": np.float32(2)})
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("If", ["yes"], ["b"], then_branch=then, else_branch=other),
        helper.make_node("Sqrt", ["b"], ["y"]),
    ]
    model = model_of(nodes, {"yes": np.array(condition)})
    taken = known(model)
    assert operators(taken) == (["Abs", "Relu", "Neg", "Sqrt"] if condition else ["Abs", "Add", "Sqrt"])
    np.testing.assert_array_equal(run(taken)[0], run(model)[0])


def test_names_inside_the_branch_do_not_meet_those_outside() -> None:
    def again(result: str) -> Any:
        return branch([helper.make_node("Relu", ["x"], ["t"]), helper.make_node("Neg", ["t"], [result])], result)

    nodes = [
        helper.make_node("If", ["yes"], ["a"], "one", then_branch=again("r"), else_branch=again("s")),
        helper.make_node("If", ["yes"], ["b"], "two", then_branch=again("r"), else_branch=again("s")),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    model = model_of(nodes, {"yes": np.array(True)})
    taken = known(model)
    np.testing.assert_array_equal(run(taken)[0], run(model)[0])


def test_a_branch_may_give_what_it_takes_from_outside_and_the_same_twice() -> None:
    then = helper.make_graph(
        [helper.make_node("Neg", ["a"], ["n"])],
        "then",
        [],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("n", "n2")],
    )
    then.node.append(helper.make_node("Identity", ["n"], ["n2"]))
    other = branch([helper.make_node("Relu", ["a"], ["p"]), helper.make_node("Relu", ["a"], ["q"])], "p", "q")
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("If", ["yes"], ["b", "c"], then_branch=then, else_branch=other),
        helper.make_node("Add", ["b", "c"], ["y"]),
    ]
    model = model_of(nodes, {"yes": np.array(True)})
    np.testing.assert_array_equal(run(known(model))[0], run(model)[0])


def test_an_if_inside_the_branch_is_taken_too() -> None:
    inner = helper.make_node(
        "If",
        ["yes"],
        ["r"],
        then_branch=branch([helper.make_node("Relu", ["t"], ["u"])], "u"),
        else_branch=branch([helper.make_node("Neg", ["t"], ["v"])], "v"),
    )
    nodes = [
        helper.make_node(
            "If",
            ["yes"],
            ["y"],
            then_branch=branch([helper.make_node("Abs", ["x"], ["t"]), inner], "r"),
            else_branch=branch([helper.make_node("Neg", ["x"], ["w"])], "w"),
        )
    ]
    model = model_of(nodes, {"yes": np.array(True)})
    taken = known(model)
    assert operators(taken) == ["Abs", "Relu"]
    np.testing.assert_array_equal(run(taken)[0], run(model)[0])


def test_a_condition_on_a_known_size_is_known_as_in_the_squeeze_of_torch_jit() -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Shape", ["p"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "last"], ["size"]),
        helper.make_node("Equal", ["size", "one"], ["yes"]),
        helper.make_node(
            "If",
            ["yes"],
            ["y"],
            then_branch=branch([helper.make_node("Squeeze", ["p", "axes"], ["s"])], "s"),
            else_branch=branch([helper.make_node("Identity", ["p"], ["i"])], "i"),
        ),
    ]
    model = model_of(nodes, {"last": np.array(3), "one": np.array(1), "axes": np.array([2, 3])})
    taken = known(model)
    assert operators(taken) == ["GlobalAveragePool", "Squeeze"]
    np.testing.assert_array_equal(run(taken)[0], run(model)[0])


def test_an_if_that_depends_on_the_image_stays() -> None:
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "limit"], ["yes"]),
        helper.make_node(
            "If",
            ["yes"],
            ["y"],
            then_branch=branch([helper.make_node("Neg", ["x"], ["n"])], "n"),
            else_branch=branch([helper.make_node("Relu", ["x"], ["r"])], "r"),
        ),
    ]
    model = model_of(nodes, {"limit": np.array(1, np.float32)})
    assert operators(known(model)) == ["ReduceMax", "Greater", "If"]


def test_padding_that_is_computed_from_a_known_size_is_known_also_where_it_follows_from_another() -> None:
    nodes = []
    for number, (source, result) in enumerate((("x", "once"), ("once", "y"))):
        nodes += [
            helper.make_node("Shape", [source], [f"shape{number}"]),
            helper.make_node("Gather", [f"shape{number}", "rows"], [f"rows{number}"]),
            helper.make_node("Concat", ["two", f"rows{number}", "five"], [f"amounts{number}"], axis=0),
            helper.make_node("Pad", [source, f"amounts{number}"], [result]),
        ]
    zeros = {"two": np.zeros(2, np.int64), "five": np.zeros(5, np.int64)}
    model = model_of(nodes, {"rows": np.array([2]), **zeros})
    graph = Graph(model)
    turns = 0
    while store_known_sizes(graph):
        fold_constants(graph)
        turns += 1
    stored = graph.model()
    assert (operators(stored), turns) == (["Pad", "Pad"], 2)
    np.testing.assert_array_equal(run(stored)[0], run(model)[0])


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.INT32])
def test_padding_that_is_computed_in_other_numbers_stays_computable(kind: int) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "rows"], ["side"]),
        helper.make_node("Cast", ["side"], ["number"], to=kind),
        helper.make_node("Squeeze", ["number"], ["single"]),
        helper.make_node("Div", ["single", "four"], ["quarter"]),
        helper.make_node("Cast", ["quarter"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Unsqueeze", ["whole", "first"], ["list"]),
        helper.make_node("Concat", ["two", "list", "five"], ["amounts"], axis=0),
        helper.make_node("Pad", ["x", "amounts"], ["y"]),
    ]
    zeros = {"two": np.zeros(2, np.int64), "five": np.zeros(5, np.int64)}
    constants = {"rows": np.array([2]), "four": np.array(4, dtype), "first": np.array([0]), **zeros}
    model = model_of(nodes, constants)
    graph = Graph(model)
    while store_known_sizes(graph):
        fold_constants(graph)
    np.testing.assert_array_equal(run(graph.model())[0], run(model)[0])


def test_a_shape_that_no_pad_needs_is_left_to_hold_for_any_batch() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "rows"], ["side"]),
        helper.make_node("Concat", ["two", "side", "five"], ["amounts"], axis=0),
        helper.make_node("Pad", ["x", "amounts"], ["wide"]),
        helper.make_node("Shape", ["x"], ["again"]),
        helper.make_node("Gather", ["again", "none"], ["batch"]),
        helper.make_node("Expand", ["token", "batch"], ["tokens"]),
        helper.make_node("Reshape", ["tokens", "by_image"], ["column"]),
        helper.make_node("Add", ["wide", "column"], ["y"]),
    ]
    zeros = {"two": np.zeros(2, np.int64), "five": np.zeros(5, np.int64), "none": np.array([0])}
    more = {"rows": np.array([2]), "token": np.ones(1, np.float32), "by_image": np.array([-1, 1, 1, 1])}
    graph = Graph(model_of(nodes, {**zeros, **more}))
    while store_known_sizes(graph):
        fold_constants(graph)
    assert operators(graph.model()) == ["Pad", "Shape", "Gather", "Expand", "Reshape", "Add"]
