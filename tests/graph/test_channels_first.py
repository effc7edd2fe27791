from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.graph.channels_first import cancel_transposes, take_channels_first
from quantize.graph.nodes import attribute
from quantize.graph.view import Graph
from quantize.models.session import open_session
from tests.graph.small_models import noise, operators

Constants = dict[str, NDArray[Any]]
Case = tuple[list[NodeProto], Constants, int]

TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
IMAGES = noise(0, 2, 6, 8, 3)


def model_of(
    nodes: Sequence[NodeProto],
    constants: dict[str, NDArray[Any]] | None = None,
    *,
    image: Sequence[int] = (2, 6, 8, 3),
    opset: int = 13,
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "layouts",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def turn(source: str, result: str, perm: list[int]) -> NodeProto:
    return helper.make_node("Transpose", [source], [result], perm=perm)


def node(op_type: str, *names: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op_type, names[:-1], names[-1:], **attributes)


def run(model: ModelProto, images: NDArray[np.float32]) -> NDArray[np.float32]:
    session = open_session(model.SerializeToString(), optimization="none")
    (y,) = session.run(None, {"x": images})
    return np.asarray(y)


def channels_first(model: ModelProto) -> ModelProto:
    graph = Graph(model)
    take_channels_first(graph)
    return cancel_transposes(graph).model()


CONV = node("Conv", "first", "w", "y")
WEIGHT = {"w": noise(1, 4, 3, 3, 3)}
PER_CHANNEL = noise(2, 3)

BEFORE_THE_CONV: dict[str, Case] = {
    "nothing": ([turn("x", "first", TO_FIRST)], {}, 13),
    "a mean by channel": ([node("Sub", "x", "m", "a"), turn("a", "first", TO_FIRST)], {"m": PER_CHANNEL}, 13),
    "one scale for all": ([node("Mul", "s", "x", "a"), turn("a", "first", TO_FIRST)], {"s": noise(7, 1)}, 13),
    "padding": (
        [node("Pad", "x", "p", "a"), turn("a", "first", TO_FIRST)],
        {"p": np.array([0, 1, 2, 0, 0, 3, 4, 0], np.int64)},
        13,
    ),
    "a branch that joins": (
        [node("Sigmoid", "x", "s"), node("Mul", "x", "s", "a"), turn("a", "first", TO_FIRST)],
        {},
        13,
    ),
}


@pytest.mark.parametrize("case", BEFORE_THE_CONV)
def test_what_turns_the_image_before_the_first_conv_is_gone_and_nothing_else_is(case: str) -> None:
    nodes, constants, opset = BEFORE_THE_CONV[case]
    model = model_of([*nodes, CONV], {**WEIGHT, **constants}, opset=opset)

    result = channels_first(model)

    assert operators(result) == [name for name in operators(model) if name != "Transpose"]
    np.testing.assert_allclose(run(result, IMAGES.transpose(0, 3, 1, 2)), run(model, IMAGES), atol=1e-5)


LAST = turn("x", "a", TO_LAST)
BEHIND: dict[str, Case] = {
    "means over the image": ([LAST, node("ReduceMean", "a", "y", axes=[1, 2], keepdims=0)], {}, 13),
    "means of opset 18": ([LAST, node("ReduceMean", "a", "i", "y", keepdims=0)], {"i": np.array([1, 2])}, 18),
    "means that keep their axes": (
        [LAST, node("ReduceMean", "a", "b", axes=[-3, -2], keepdims=1), node("Squeeze", "b", "i", "y")],
        {"i": np.array([1, 2])},
        13,
    ),
    "a Concat by channel": (
        [LAST, node("Relu", "a", "b"), node("Concat", "a", "b", "c", axis=-1), turn("c", "y", TO_FIRST)],
        {},
        13,
    ),
    "a constant at one end of a Concat": (
        [LAST, node("Concat", "a", "k", "c", axis=3), turn("c", "y", TO_FIRST)],
        {"k": noise(3, 2, 8, 3, 1)},
        13,
    ),
    "Softmax by channel": ([LAST, node("Softmax", "a", "b"), turn("b", "y", TO_FIRST)], {}, 13),
    "a grid for all": (
        [
            LAST,
            node("QuantizeLinear", "a", "s", "z", "q"),
            node("DequantizeLinear", "q", "s", "z", "b"),
            turn("b", "y", TO_FIRST),
        ],
        {"s": np.array(0.05, np.float32), "z": np.array(128, np.uint8)},
        13,
    ),
}


@pytest.mark.parametrize("case", BEHIND)
def test_a_turn_that_meets_its_opposite_or_a_reduction_is_gone(case: str) -> None:
    nodes, constants, opset = BEHIND[case]
    model = model_of(nodes, constants, image=(2, 6, 8, 3), opset=opset)

    result = cancel_transposes(Graph(model)).model()

    assert "Transpose" not in operators(result)
    np.testing.assert_allclose(run(result, IMAGES), run(model, IMAGES), atol=1e-6)


def test_a_turn_of_one_pixel_is_gone_before_what_makes_it_flat() -> None:
    model = model_of([LAST, node("Reshape", "a", "shape", "y")], {"shape": np.array([0, -1])}, image=(2, 6, 1, 1))

    result = cancel_transposes(Graph(model)).model()

    assert operators(result) == ["Reshape"]
    pixels = noise(4, 2, 6, 1, 1)
    np.testing.assert_array_equal(run(result, pixels), run(model, pixels))


STAYS: dict[str, tuple[list[NodeProto], Constants]] = {
    "a larger image made flat": ([LAST, node("Flatten", "a", "y")], {}),
    "rows that are summed": ([LAST, node("ReduceSum", "a", "i", "y", keepdims=0)], {"i": np.array([1])}),
    "a product over the last axis": ([LAST, node("MatMul", "a", "w", "y")], {"w": noise(5, 6, 2)}),
    "a grid by channel": (
        [
            LAST,
            node("QuantizeLinear", "a", "s", "z", "q", axis=3),
            node("DequantizeLinear", "q", "s", "z", "y", axis=3),
        ],
        {"s": np.full(6, 0.05, np.float32), "z": np.zeros(6, np.uint8)},
    ),
}


@pytest.mark.parametrize("case", STAYS)
def test_where_no_turn_goes_away_the_graph_stays_as_it_is(case: str) -> None:
    nodes, constants = STAYS[case]
    graph = Graph(model_of(nodes, constants))

    assert cancel_transposes(graph) is graph


def test_the_turns_of_attention_are_left_alone() -> None:
    graph = Graph(model_of([turn("x", "a", [0, 2, 1, 3]), node("Relu", "a", "b"), turn("b", "y", [0, 2, 1, 3])]))

    assert cancel_transposes(graph) is graph


def test_an_image_that_no_transpose_reads_is_turned_back_once() -> None:
    model = model_of([node("Flatten", "x", "f"), node("MatMul", "f", "w", "y")], {"w": noise(6, 6 * 8 * 3, 2)})

    result = channels_first(model)

    assert [attribute(n, "perm") for n in result.graph.node if n.op_type == "Transpose"] == [TO_LAST]
    assert [dim.dim_value for dim in result.graph.input[0].type.tensor_type.shape.dim] == [2, 3, 6, 8]
    np.testing.assert_allclose(run(result, IMAGES.transpose(0, 3, 1, 2)), run(model, IMAGES), atol=1e-5)
