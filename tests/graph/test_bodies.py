"""Graphs inside nodes read floats from outside through an Identity, which other quantizers see."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from quantize.graph.bodies import read_through_identity
from quantize.graph.nodes import body_reads, reads
from quantize.graph.shapes import inferred_types
from quantize.graph.view import Graph
from tests.graph.small_models import model_of, noise, operators, run
from tests.graph.test_branches import branch


def through(model: ModelProto) -> ModelProto:
    graph = Graph(model)
    read_through_identity(graph, inferred_types(model))
    return graph.model()


def _if_on_the_image(result: str = "y") -> list[NodeProto]:
    return [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "limit"], ["yes"]),
        helper.make_node(
            "If",
            ["yes"],
            [result],
            "if",
            then_branch=branch([helper.make_node("Mul", ["a", "w"], ["n"])], "n"),
            else_branch=branch([helper.make_node("Reshape", ["a", "shape"], ["r"])], "r"),
        ),
    ]


CONSTANTS = {"limit": np.array(1, np.float32), "w": noise(3, 1, 3, 1, 1), "shape": np.array([2, 3, 6, 6])}


def test_a_float_that_a_body_reads_has_a_reader_outside() -> None:
    model = model_of(_if_on_the_image(), CONSTANTS)
    seen = through(model)
    assert operators(seen).count("Identity") == 1
    (node,) = (own for own in seen.graph.node if own.name == "if")
    assert set(reads(node)) == {"yes", "a_seen", "w", "shape"}
    np.testing.assert_array_equal(run(seen)[0], run(model)[0])


def test_doing_it_twice_changes_nothing() -> None:
    once = through(model_of(_if_on_the_image(), CONSTANTS))
    assert through(once).SerializeToString() == once.SerializeToString()


def _loop(read: str) -> ModelProto:
    """Return a Loop that carries a Relu's result, and whose body reads a tensor from outside."""
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["carried", read], ["next"]),
            helper.make_node("Identity", ["on"], ["go"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Loop", ["count", "true", "a"], ["y"], "loop", body=body),
    ]
    return model_of(nodes, {"count": np.array(2), "true": np.array(True)})


def test_what_only_the_node_itself_takes_needs_none() -> None:
    model = _loop("x")
    seen = through(model)
    assert operators(seen) == ["Relu", "Identity", "Loop"]
    assert next(own for own in seen.graph.node if own.name == "loop").input[2] == "a"
    np.testing.assert_array_equal(run(seen)[0], run(model)[0])


def test_what_the_node_takes_and_its_body_reads_too_is_read_through_one_everywhere() -> None:
    model = _loop("a")
    seen = through(model)
    assert operators(seen) == ["Relu", "Identity", "Loop"]
    loop = next(own for own in seen.graph.node if own.name == "loop")
    assert (loop.input[2], list(body_reads(loop))) == ("a_seen", ["a_seen"])
    np.testing.assert_array_equal(run(seen)[0], run(model)[0])
