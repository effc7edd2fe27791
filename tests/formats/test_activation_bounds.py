"""When a grid may stand for a Relu or Clip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from quantize.formats.activation_bounds import RELU, UNBOUNDED, Bounds, add_activation, clip_bounds, may_absorb
from quantize.formats.parameters import add_dequantize, add_quantize, new_parameters
from quantize.graph.view import Graph
from quantize.grid.grid import Grid

ENDS = st.one_of(st.sampled_from([-1.0, 0.0, 1.0, 6.0]), st.floats(-8, 8, width=32))


@st.composite
def bounds_and_grids(draw: st.DrawFn) -> tuple[Bounds, Grid]:
    low, high = sorted((draw(ENDS), draw(ENDS)))
    bounds = Bounds(draw(st.sampled_from([low, -np.inf])), draw(st.sampled_from([high, np.inf])))
    kind, ends = draw(st.sampled_from(["uint8", "int8"])), sorted((draw(ENDS), draw(ENDS)))
    own = [end for end in (bounds.low, bounds.high) if np.isfinite(end)]
    if draw(st.booleans()) and own:  # a range that an activation made
        ends = [max(ends[0], bounds.low), min(ends[1], bounds.high)]
    return bounds, Grid.covering(ends[0], ends[1], activation_type=kind, symmetric=draw(st.booleans()))


@given(bounds_and_grids())
@settings(deadline=None, max_examples=300)
def test_a_grid_carries_bounds_where_quantizing_confines_every_value_to_them_and_nowhere_else(
    case: tuple[Bounds, Grid],
) -> None:
    bounds, grid = case
    step = float(grid.scale)
    values = np.concatenate([np.linspace(grid.low - 3 * step, grid.high + 3 * step, 4001), [-1e6, 1e6]])
    values = values.astype(np.float32)
    confined = np.clip(values, np.float32(bounds.low), np.float32(bounds.high))
    same = np.array_equal(grid.quantize(values), grid.quantize(confined))
    assert bounds.carried_by(grid) == same


@given(st.floats(0.01, 20), st.booleans())
@settings(deadline=None, max_examples=100)
def test_what_a_grid_states_is_carried_by_it(high: float, symmetric: bool) -> None:
    grid = Grid.covering(0.0, high, symmetric=symmetric)
    assert Bounds.stated_by(grid).carried_by(grid)
    assert Bounds.stated_by(grid).within(UNBOUNDED)


def test_a_range_that_ends_at_0_or_6_states_a_relu_or_relu6() -> None:
    assert Bounds.stated_by(Grid.covering(0.0, 6.0)) == Bounds(0.0, 6.0)
    assert Bounds.stated_by(Grid.covering(0.0, 5.0)) == RELU
    assert Bounds.stated_by(Grid.covering(-1.0, 1.0)) == UNBOUNDED


def _behind(op_type: str, reader: str, low: float, high: float) -> tuple[Graph, Bounds]:
    """Return an operator with a Clip to these bounds, quantized to just them, and what reads the result."""
    value = helper.make_tensor_value_info
    graph = Graph(
        helper.make_model(
            helper.make_graph(
                [], "g", [value("x", TensorProto.FLOAT, [2, 2])], [value("y", TensorProto.FLOAT, [2, 2])]
            ),
            opset_imports=[helper.make_opsetid("", 13)],
        )
    )
    bounds = Bounds(low, high)
    graph.add(op_type, ["x", "x"], ["made"], name="maker")
    add_activation(graph, "made", "confined", bounds, "activation")
    grid = Grid.covering(max(low, -9.0), min(high, 9.0))
    by = new_parameters(graph, "by", grid.scale, grid.zero_point, None)
    add_quantize(graph, "confined", by, "integers")
    moved = add_dequantize(graph, "integers", by)
    graph.add("Transpose", [moved], ["moved"], name="move")
    graph.add(reader, ["moved"], ["y"], name="reader")
    return graph, bounds


@pytest.mark.parametrize(
    ("op_type", "reader", "ends", "absorbed"),
    [
        ("Mul", "Neg", (0.0, 1.0), True),
        ("Mul", "Concat", (0.0, 1.0), False),  # the Concat's own grid ends elsewhere, and 1 says nothing
        ("Mul", "Concat", (-1.0, 1.0), False),
        ("Mul", "Concat", (0.0, 6.0), True),  # the ends say what they stand for
        ("Mul", "Concat", (0.0, np.inf), True),
        ("MatMul", "Neg", (0.0, 1.0), False),  # the scores come to be float
        ("MatMul", "Neg", (0.0, np.inf), True),
    ],
)
def test_what_may_get_another_grid_absorbs_only_what_its_own_ends_state(
    op_type: str, reader: str, ends: tuple[float, float], absorbed: bool
) -> None:
    graph, bounds = _behind(op_type, reader, *ends)
    quantize = next(node for node in graph.nodes if node.op_type == "QuantizeLinear")
    grid = Grid.covering(max(ends[0], -9.0), min(ends[1], 9.0))
    assert may_absorb(graph, quantize, grid, bounds) == absorbed
    assert not may_absorb(graph, quantize, Grid.covering(-9.0, 9.0), bounds)


@given(bounds_and_grids())
@settings(deadline=None, max_examples=50)
def test_an_activation_that_is_added_has_the_bounds(case: tuple[Bounds, Grid]) -> None:
    bounds, _ = case
    graph, _ = _behind("Mul", "Neg", 0.0, 1.0)
    read = clip_bounds(graph, add_activation(graph, "made", "other", bounds, "added"))
    assert read is not None
    most = float(np.finfo(np.float32).max)
    assert (max(bounds.low, -most), min(bounds.high, most)) in ((read.low, read.high), (max(read.low, -most), most))
