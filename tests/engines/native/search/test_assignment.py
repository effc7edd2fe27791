from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from quantize.calibration.collect import collect
from quantize.data.batches import Batch
from quantize.engines.native.builder.builder import NativeBuilder, op_types_of
from quantize.engines.native.search.assignment import TENSORS_ONLY, Costs, best_assignment, canonical
from quantize.engines.native.search.ladder import neighbours
from quantize.engines.native.search.latency_model import LatencyModel
from quantize.engines.native.search.op_graph import op_graph
from quantize.graph.identity import graph_sha256
from quantize.recipe import Recipe
from tests.engines.native.search.small_costs import SENSITIVITIES, TIMES, costs, every_assignment

RECIPE = Recipe(engine="native", range_rule="minmax")


@given(
    *(TIMES, TIMES, SENSITIVITIES, SENSITIVITIES, st.floats(0, 5), st.floats(0, 1000)),
    *(st.floats(0, 300), st.dictionaries(st.sampled_from("bc"), st.floats(0, 500))),
)
@settings(max_examples=150, deadline=None)
def test_the_cut_is_the_best_of_all_assignments(float_ns, int8_ns, weights, tensors, convert, price, crossing, alone):
    given_costs = costs(float_ns, int8_ns, weights, tensors, convert, crossing=crossing, alone=alone)

    def total(ops):
        return given_costs.time_ns(ops) + price * given_costs.sensitivity(ops)

    best = min(total(ops) for ops in every_assignment())
    assert total(best_assignment(given_costs, price)) == pytest.approx(best, rel=1e-4, abs=1e-2)


def test_an_op_that_is_faster_in_fp32_is_in_fp32_whatever_its_sensitivity():
    given_costs = costs([1000, 10, 1000, 1000, 1000], [100, 900, 100, 100, 100], [0] * 5, [0] * 5, 0.01)
    assert best_assignment(given_costs, 0.0) == {"b"}


def test_a_conversion_can_cost_more_than_it_gains():
    float_ns, int8_ns = [1000, 10, 1000, 1000, 1000], [100, 20, 100, 100, 100]
    assert best_assignment(costs(float_ns, int8_ns, [0] * 5, [0] * 5, 1.0), 0.0) == frozenset()


def test_fixed_ops_stay_in_fp32():
    given_costs = costs([1000] * 5, [1] * 5, [0] * 5, [0] * 5, 0.01, fixed=frozenset({"e"}))
    assert best_assignment(given_costs, 0.0) == {"e"}


def between_convs(op_type: str) -> onnx.ModelProto:
    """Two Convs, an op of this type on their outputs, and a Conv after it."""
    rng = np.random.default_rng(0)

    def weights(name, *shape):
        return numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(np.float32), name)

    one_input = op_type.endswith("Pool")
    taken = ["left"] if one_input else ["left", "right"]
    attributes = {"kernel_shape": [2, 2]} if op_type == "AveragePool" else {}
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["left"], "before"),
        helper.make_node("Conv", ["x", "w1"], ["right"], "beside"),
        helper.make_node(op_type, taken, ["middle"], "between", **attributes),
        helper.make_node("Conv", ["middle", "w2"], ["scores"], "after"),
    ]
    constants = [weights("w0", 4, 3, 1, 1), weights("w1", 4, 3, 1, 1), weights("w2", 5, 4, 1, 1)]
    graph = helper.make_graph(
        nodes,
        "between",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 6, 6])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def built(model: onnx.ModelProto, *float_nodes: str) -> str:
    images = np.random.default_rng(1).normal(0, 1, (4, 3, 6, 6)).astype(np.float32)
    statistics = collect(model, [Batch(("a", "b", "c", "d"), images, None)])
    recipe = RECIPE.but(float_nodes=tuple(sorted(float_nodes)))
    return graph_sha256(NativeBuilder(folder=None).graph(model, recipe, statistics))  # type: ignore[arg-type]


def costs_of(model: onnx.ModelProto) -> Costs:
    graph = op_graph(model, op_types_of(RECIPE))
    times = {op.name: 10.0 for op in graph.ops}
    latency = LatencyModel(times, times, conversion_ns=0.0, rest_ns=0.0)
    return Costs(graph, latency, weights={}, tensors={})


@pytest.mark.parametrize("op_type", sorted(TENSORS_ONLY))
def test_an_op_between_int8_ops_gives_the_same_graph_in_fp32(op_type):
    model = between_convs(op_type)
    assert built(model, "between") == built(model)
    assert canonical(costs_of(model), frozenset({"between"})) == frozenset()


@pytest.mark.parametrize("op_type", sorted(TENSORS_ONLY))
def test_an_op_next_to_a_float_neighbour_keeps_its_placement(op_type):
    model = between_convs(op_type)
    float_nodes = frozenset({"between", "after"})
    assert canonical(costs_of(model), float_nodes) == float_nodes
    assert built(model, *float_nodes) != built(model, "after")


def test_a_layer_with_weights_always_counts():
    model = between_convs("Add")
    assert canonical(costs_of(model), frozenset({"before"})) == frozenset({"before"})
    assert built(model, "before") != built(model)


def test_no_neighbour_is_proposed_that_changes_nothing():
    costs = costs_of(between_convs("Add"))
    moves = list(neighbours(costs, frozenset()))
    assert frozenset({"between"}) not in moves
    assert frozenset({"before"}) in moves
    assert len(moves) == len(set(moves))
