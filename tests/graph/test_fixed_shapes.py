from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.graph.fixed_shapes import fix_reshapes, shape_values
from quantize.graph.view import Graph

CONSTANTS = {
    "zero": np.array(0),
    "zeros": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
    "ends": np.array([-1]),
    "picked": np.array([0, 2]),
    "half": np.array([0.5], np.float32),
    "rest": np.array([3, -1]),
}


def model_of(nodes: Sequence[NodeProto], opset: int = 13) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 4, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in CONSTANTS.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def value_of(*nodes: NodeProto, name: str = "v", opset: int = 15) -> object:
    model = model_of([*nodes, helper.make_node("Relu", ["x"], ["y"])], opset)
    graph = Graph(model)
    shapes = graph.shapes()
    graph = Graph(model)  # with the nodes that lead to no output
    return shape_values(graph, shapes).get(name)


SHAPE = helper.make_node("Shape", ["x"], ["s"])


@pytest.mark.parametrize(
    ("nodes", "value"),
    [
        ([helper.make_node("Shape", ["x"], ["v"])], ("N", 3, 4, 5)),
        ([helper.make_node("Shape", ["x"], ["v"], start=1, end=-1)], (3, 4)),
        ([SHAPE, helper.make_node("Gather", ["s", "zero"], ["v"])], "N"),
        ([SHAPE, helper.make_node("Gather", ["s", "picked"], ["v"])], ("N", 4)),
        ([SHAPE, helper.make_node("Slice", ["s", "one", "ends"], ["v"])], (3, 4)),
        ([SHAPE, helper.make_node("Slice", ["s", "zeros", "one", "zeros", "one"], ["v"])], ("N",)),
        ([SHAPE, helper.make_node("Slice", ["s", "zeros", "ends", "zeros", "two"], ["v"])], None),
        ([SHAPE, helper.make_node("Cast", ["s"], ["v"], to=TensorProto.INT32)], ("N", 3, 4, 5)),
        ([SHAPE, helper.make_node("Concat", ["s", "rest"], ["v"], axis=0)], ("N", 3, 4, 5, 3, -1)),
        (
            [SHAPE, helper.make_node("Slice", ["s", "zeros", "one"], ["f"]), helper.make_node("Squeeze", ["f"], ["v"])],
            "N",
        ),
        ([SHAPE, helper.make_node("Squeeze", ["s"], ["v"])], None),
        ([SHAPE, helper.make_node("Unsqueeze", ["s", "zeros"], ["v"])], None),
        ([SHAPE, helper.make_node("Mul", ["s", "two"], ["v"])], None),
        ([helper.make_node("RandomNormal", [], ["v"], shape=[1])], None),
        ([SHAPE, helper.make_node("Concat", ["s", "half"], ["v"], axis=0)], None),
    ],
)
def test_values_computed_from_shapes_are_followed(nodes: list[NodeProto], value: object) -> None:
    assert value_of(*nodes) == value


@pytest.mark.parametrize(
    ("target", "fixed"),
    [([-1, 60], [0, 60]), ([-1, 3, 20], [0, 3, 20]), ([-1, 30], [-1, 30]), ([0, -1], [0, -1]), ([60, -1], [60, -1])],
)
def test_a_batch_that_a_reshape_infers_is_copied_instead_if_that_is_the_same(
    target: list[int], fixed: list[int]
) -> None:
    model = model_of([helper.make_node("Reshape", ["x", "target"], ["y"])])
    model.graph.initializer.append(numpy_helper.from_array(np.array(target), "target"))

    graph = Graph(model)
    fix_reshapes(graph)

    shape = graph.constant(graph.nodes[0].input[1])
    assert shape is not None
    assert shape.tolist() == fixed


def test_channel_shuffles_one_behind_the_other_all_become_constant() -> None:
    """As ShuffleNet is exported: each unit takes the batch from the shape of what the unit before it made."""
    nodes, source = [], "x"
    for unit in range(3):
        name = "y" if unit == 2 else f"h{unit}"
        nodes += [
            helper.make_node("Shape", [source], [f"s{unit}"]),
            helper.make_node("Slice", [f"s{unit}", "zeros", "one"], [f"n{unit}"]),
            helper.make_node("Concat", [f"n{unit}", "groups"], [f"t{unit}"], axis=0),
            helper.make_node("Reshape", [source, f"t{unit}"], [f"a{unit}"]),
            helper.make_node("Transpose", [f"a{unit}"], [f"b{unit}"], perm=[0, 2, 1, 3, 4]),
            helper.make_node("Concat", [f"n{unit}", "whole"], [f"u{unit}"], axis=0),
            helper.make_node("Reshape", [f"b{unit}", f"u{unit}"], [name]),
        ]
        source = name
    model = model_of(nodes)
    for name, sizes in (("groups", [3, 2, 2, 5]), ("whole", [6, 2, 5])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(sizes), name))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 6
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 2

    graph = Graph(model)
    fix_reshapes(graph)

    assert [node.op_type for node in graph.model().graph.node] == ["Reshape", "Transpose", "Reshape"] * 3
