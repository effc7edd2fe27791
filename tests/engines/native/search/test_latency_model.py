from __future__ import annotations

import pytest

from quantize.engines.native.search.latency_model import latency_model
from quantize.engines.native.search.latency_table import LatencyTable, PairedLatency
from quantize.engines.native.search.profiled_times import ProfiledTimes, TimedOp
from quantize.engines.native.search.tensor_users import Borders
from quantize.engines.native.search.units import unit_graph
from quantize.errors import RunError

OP_TYPES = ("Conv", "Concat", "MaxPool", "GlobalAveragePool", "Softmax")


def timed(kind, times, conversion=None):
    ops = [TimedOp(origin=origin, kind=kind, time_ns=ns) for origin, ns in times]
    return (*ops, *([] if conversion is None else [TimedOp(origin=None, kind="conversion", time_ns=conversion)]))


@pytest.fixture
def predicted(model):
    graph = unit_graph(model.proto(), OP_TYPES)
    borders = Borders(graph, frozenset({"scores", "gap"}))
    times = ProfiledTimes(
        baseline=timed("fp32", [("stem", 300), ("left", 100), ("right", 200), ("last", 150), ("gap", 30)]),
        candidate=(
            *timed("int8", [("stem", 90), ("stem_relu", 10), ("left", 40), ("right", 80), ("last", 60)], 96.0),
            TimedOp(origin="gap", kind="fp32", time_ns=30),
            TimedOp(origin=None, kind="fp32", time_ns=7),
        ),
    )
    return graph, borders, latency_model(times, graph, borders)


def test_all_int8_costs_what_the_profile_shows(predicted):
    graph, borders, found = predicted
    head = frozenset({"gap", "softmax"})
    measured = 100 + 40 + 80 + 60 + 96 + 7
    # In the profile the head was fp32, so its time is the same on either side and the leaving tensor is before it.
    assert found.predicted(graph, borders, head) == pytest.approx(measured + 30, rel=0.25)


def test_times_go_to_the_op_that_an_activation_belongs_to(predicted):
    _, _, found = predicted
    assert found.int8_ns["stem"] == 100
    assert found.float_ns["stem"] == 300
    assert found.int8_ns["concat"] == 0


def test_a_border_between_fp32_and_int8_costs_a_conversion_of_every_value(predicted):
    graph, borders, found = predicted
    everything = frozenset(unit.name for unit in graph.units)
    alone = found.predicted(graph, borders, everything - {"left"})
    fp32 = found.predicted(graph, borders, everything)
    converted = found.enter_ns * graph.elements["r0"] + found.leave_ns * graph.elements["r1"]
    assert alone - fp32 == pytest.approx(40 - 100 + converted)


def test_a_tensor_with_two_int8_takers_is_converted_once(predicted):
    graph, borders, found = predicted
    everything = frozenset(unit.name for unit in graph.units)
    both = found.predicted(graph, borders, everything - {"left", "right", "concat"})
    fp32 = found.predicted(graph, borders, everything)
    converted = found.enter_ns * graph.elements["r0"] + found.leave_ns * graph.elements["cat"]
    assert both - fp32 == pytest.approx(40 + 80 - 300 + converted)


def test_a_table_comes_back_from_its_file(tmp_path):
    table = LatencyTable(
        model="abc",
        profiles={"r": ProfiledTimes(baseline=timed("fp32", [("a", 1.5)]), candidate=timed("int8", [("a", 0.5)]))},
        measured={"r": PairedLatency(baseline_ns=3.0, candidate_ns=1.0)},
    )
    table.save(tmp_path / "latency.json")
    assert LatencyTable.load(tmp_path / "latency.json", "abc") == table
    assert table.measured["r"].ratio == 3.0


def test_a_table_of_another_model_or_no_table_is_refused(tmp_path):
    LatencyTable(model="abc").save(tmp_path / "latency.json")
    with pytest.raises(RunError, match="another model"):
        LatencyTable.load(tmp_path / "latency.json", "def")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(RunError, match="no latency table"):
        LatencyTable.load(tmp_path / "other.json", "abc")
    with pytest.raises(RunError, match="cannot be read"):
        LatencyTable.load(tmp_path / "missing.json", "abc")
