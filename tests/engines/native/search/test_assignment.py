from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.engines.native.search.assignment import Costs, best_assignment
from quantize.engines.native.search.ladder import ladder
from quantize.engines.native.search.latency_model import LatencyModel
from quantize.engines.native.search.neighbours import neighbours
from quantize.engines.native.search.tensor_users import Borders
from quantize.engines.native.search.units import Unit, UnitGraph


def unit(name, inputs, output):
    return Unit(name, "Conv", (0,), (name,), tuple(inputs), output, moving=False)


# x -> a -> b -> d (add of b and c) -> e -> scores, with c from a as well
GRAPH = UnitGraph(
    units=(
        unit("a", ["x"], "ta"),
        unit("b", ["ta"], "tb"),
        unit("c", ["ta"], "tc"),
        unit("d", ["tb", "tc"], "td"),
        unit("e", ["td"], "scores"),
    ),
    image="x",
    scores="scores",
    elements={"x": 100, "ta": 80, "tb": 60, "tc": 60, "td": 40, "scores": 10},
)
BORDERS = Borders(GRAPH, frozenset({"scores"}))
NAMES = [one.name for one in GRAPH.units]
TIMES = st.lists(st.floats(1, 1000), min_size=5, max_size=5)
SENSITIVITIES = st.lists(st.floats(0, 1), min_size=5, max_size=5)


def costs(float_ns, int8_ns, weights, tensors, convert, fixed=frozenset()):
    return Costs(
        graph=GRAPH,
        borders=BORDERS,
        latency=LatencyModel(
            dict(zip(NAMES, float_ns, strict=True)), dict(zip(NAMES, int8_ns, strict=True)), convert, convert, 5.0
        ),
        weights=dict(zip(NAMES, weights, strict=True)),
        tensors=dict(zip(["x", "ta", "tb", "tc", "td"], tensors, strict=True)),
        fixed=fixed,
    )


def every_assignment():
    return [frozenset(chosen) for size in range(6) for chosen in itertools.combinations(NAMES, size)]


@given(TIMES, TIMES, SENSITIVITIES, SENSITIVITIES, st.floats(0, 5), st.floats(0, 1000))
@settings(max_examples=150, deadline=None)
def test_the_cut_is_the_best_of_all_assignments(float_ns, int8_ns, weights, tensors, convert, price):
    given_costs = costs(float_ns, int8_ns, weights, tensors, convert)

    def total(units):
        return given_costs.time_ns(units) + price * given_costs.sensitivity(units)

    best = min(total(units) for units in every_assignment())
    assert total(best_assignment(given_costs, price)) == pytest.approx(best, rel=1e-4, abs=1e-2)


@given(TIMES, TIMES, SENSITIVITIES, SENSITIVITIES, st.floats(0, 5))
@settings(max_examples=60, deadline=None)
def test_no_assignment_within_a_rungs_bound_and_on_the_hull_is_faster(float_ns, int8_ns, weights, tensors, convert):
    given_costs = costs(float_ns, int8_ns, weights, tensors, convert)
    rungs = ladder(given_costs)
    assert rungs
    times = [rung.time_ns for rung in rungs]
    bounds = [rung.sensitivity for rung in rungs]
    assert times == sorted(times)
    assert bounds == sorted(bounds, reverse=True)
    fastest = min(every_assignment(), key=given_costs.time_ns)
    if len(fastest) < len(NAMES):
        assert times[0] <= given_costs.time_ns(fastest) * 1.001 + 0.01 or len(rungs) == 1


def test_fp32_throughout_is_the_last_rung_and_the_only_one_where_integers_are_slower():
    slow_int8 = costs([1] * 5, [100] * 5, [1] * 5, [1] * 5, 1.0)
    assert [rung.float_units for rung in ladder(slow_int8)] == [tuple(NAMES)]
    fast_int8 = costs([100] * 5, [1] * 5, [1] * 5, [1] * 5, 1.0)
    assert ladder(fast_int8)[0].float_units == ()
    assert ladder(fast_int8)[-1].float_units == tuple(NAMES)
    assert ladder(fast_int8, most=2)[-1].float_units == tuple(NAMES)


def test_weights_of_uint8_are_taken_where_they_are_as_fast_or_worth_their_time():
    given_costs = replace(
        costs([1000] * 5, [100] * 5, [0.4] * 5, [0] * 5, 0.01),
        uint8_ns=dict(zip(NAMES, [101, 150, 300, 300, 300], strict=True)),
        uint8_weights=dict.fromkeys(NAMES, 0.1),
    )
    assert given_costs.uint8_units(0.0) == {"a"}
    assert given_costs.uint8_units(400.0) == {"a", "b"}
    assert given_costs.uint8_units(1000.0) == set(NAMES)
    rungs = ladder(given_costs)
    assert rungs[0].uint8_units == ("a",)
    assert any(set(rung.uint8_units) > {"a"} for rung in rungs)
    for rung in rungs:
        decided = given_costs.with_uint8(frozenset(rung.uint8_units))
        assert rung.time_ns == decided.time_ns(frozenset(rung.float_units))
        assert rung.sensitivity == decided.sensitivity(frozenset(rung.float_units))


def test_an_op_that_is_faster_in_fp32_is_in_fp32_whatever_its_sensitivity():
    given_costs = costs([1000, 10, 1000, 1000, 1000], [100, 900, 100, 100, 100], [0] * 5, [0] * 5, 0.01)
    assert best_assignment(given_costs, 0.0) == {"b"}


def test_a_conversion_can_cost_more_than_it_gains():
    float_ns, int8_ns = [1000, 10, 1000, 1000, 1000], [100, 20, 100, 100, 100]
    assert best_assignment(costs(float_ns, int8_ns, [0] * 5, [0] * 5, 1.0), 0.0) == frozenset()


def test_fixed_units_stay_in_fp32():
    given_costs = costs([1000] * 5, [1] * 5, [0] * 5, [0] * 5, 0.01, fixed=frozenset({"e"}))
    assert best_assignment(given_costs, 0.0) == {"e"}


def test_many_corners_are_thinned_out():
    given_costs = costs([500, 400, 300, 200, 100], [1] * 5, [0.5, 0.4, 0.2, 0.1, 0.01], [0] * 5, 0.01)
    assert len(ladder(given_costs)) > 3
    thinned = ladder(given_costs, most=3)
    assert len(thinned) == 3
    assert thinned[0] == ladder(given_costs)[0]


def test_neighbours_differ_in_one_unit_or_a_pair_and_the_fastest_come_first():
    given_costs = costs([50] * 5, [49] * 5, [0] * 5, [0] * 5, 0.001, fixed=frozenset({"e"}))
    found = list(neighbours(given_costs, frozenset({"e"})))
    assert found
    for moved in found:
        assert "e" in moved
        assert 1 <= len(moved - {"e"}) <= 2
    times = [given_costs.time_ns(moved) for moved in found]
    assert times == sorted(times)
    assert all(time <= 1.02 * given_costs.time_ns(frozenset({"e"})) for time in times)
