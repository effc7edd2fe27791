from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from quantize.engines.native.search.latency_model import ProfiledTimes, TimedOp, latency_model
from quantize.engines.native.search.op_graph import op_graph
from tests.small_blocks import activated

OP_TYPES = ("Conv", "Concat", "MaxPool", "GlobalAveragePool", "Softmax")


def timed(kind, times, conversion=None):
    ops = [TimedOp(origin=origin, kind=kind, time_ns=ns) for origin, ns in times]
    return (*ops, *([] if conversion is None else [TimedOp(origin=None, kind="conversion", time_ns=conversion)]))


@pytest.fixture
def predicted(model):
    graph = replace(op_graph(model.proto(), OP_TYPES), float_tensors=frozenset({"scores", "gap"}))
    times = ProfiledTimes(
        baseline=timed("fp32", [("stem", 300), ("left", 100), ("right", 200), ("last", 150), ("gap", 30)]),
        candidate=(
            *timed("int8", [("stem", 90), ("stem_relu", 10), ("left", 40), ("right", 80), ("last", 60)], 96.0),
            TimedOp(origin="gap", kind="fp32", time_ns=30),
            TimedOp(origin=None, kind="fp32", time_ns=7),
        ),
    )
    return graph, latency_model(times, graph)


def test_all_int8_costs_what_the_profile_shows(predicted):
    graph, latency = predicted
    head = frozenset({"gap", "softmax"})
    measured = 100 + 40 + 80 + 60 + 96 + 7
    # In the profile the head was fp32, so its time is the same on either side and the leaving tensor is before it.
    assert latency.predicted(graph, head) == pytest.approx(measured + 30, rel=0.25)


def test_times_go_to_the_op_that_an_activation_belongs_to(predicted):
    _, latency = predicted
    assert latency.int8_ns["stem"] == 100
    assert latency.float_ns["stem"] == 300
    assert latency.int8_ns["concat"] == 0


def test_a_border_between_fp32_and_int8_costs_a_conversion_of_every_value(predicted):
    graph, latency = predicted
    everything = frozenset(op.name for op in graph.ops)
    alone = latency.predicted(graph, everything - {"left"})
    fp32 = latency.predicted(graph, everything)
    converted = latency.converting(graph.elements["r0"]) + latency.converting(graph.elements["r1"])
    assert alone - fp32 == pytest.approx(40 - 100 + converted)


def test_a_tensor_with_two_int8_consumers_is_converted_once(predicted):
    graph, latency = predicted
    everything = frozenset(op.name for op in graph.ops)
    both = latency.predicted(graph, everything - {"left", "right", "concat"})
    fp32 = latency.predicted(graph, everything)
    converted = latency.converting(graph.elements["r0"]) + latency.converting(graph.elements["cat"])
    assert both - fp32 == pytest.approx(40 + 80 - 300 + converted)


def test_many_small_conversions_do_not_make_each_value_dear(model):
    graph = op_graph(model.proto(), OP_TYPES)
    call, value = 2.0, 0.25

    def latency(*sizes):
        conversions = [
            TimedOp(origin=None, kind="conversion", time_ns=call + value * size)
            for size in (graph.elements["x"], *sizes)
        ]
        shortest = TimedOp(origin="gap", kind="int8", time_ns=call)
        return latency_model(ProfiledTimes(baseline=(), candidate=(shortest, *conversions)), graph)

    alone, with_scores = latency(), latency(graph.elements["scores"])
    assert with_scores.conversion_ns == pytest.approx(alone.conversion_ns, rel=0.05)
    assert with_scores.converting(0) == 0.0
    assert with_scores.converting(1) > call / 2


def test_moves_count_with_a_conv_that_a_rewrite_made_anew(model):
    graph = op_graph(model.proto(), OP_TYPES)
    candidate = timed("int8", [("stem", 90), ("stem_1", 30), ("nothing_1", 5)])
    latency = latency_model(ProfiledTimes(baseline=(), candidate=candidate), graph)
    assert latency.int8_ns["stem"] == 120
    assert latency.rest_ns == 5


def test_a_function_that_fp32_fuses_is_not_free_behind_an_int8_op():
    graph = op_graph(activated("HardSwish"), OP_TYPES)
    conv, function = graph.ops[0].name, graph.ops[1].name
    everything = frozenset(op.name for op in graph.ops)
    baseline, candidate = timed("fp32", [(conv, 300)]), timed("int8", [(conv, 100), (function, 40)])
    latency = latency_model(ProfiledTimes(baseline=baseline, candidate=candidate), graph)
    assert latency.predicted(graph, everything) == 300
    assert latency.predicted(graph, everything - {conv}) == 100 + 40
    assert latency.predicted(graph, everything - {conv, function}) == 100 + 40
    assert latency.predicted(graph, everything - {function}) == 300 + 40


def operator(name, origin=None, kind="conversion", time_ns=1.0):
    return SimpleNamespace(name=name, origin=origin, kind=kind, time_ns=time_ns)


def profiled(*operators):
    sides = SimpleNamespace(operators=operators)
    return ProfiledTimes.of(SimpleNamespace(baseline=SimpleNamespace(operators=()), candidate=sides)).candidate


def test_moves_before_a_rewritten_conv_are_counted_with_it():
    for name in ("/stem/Conv_SpaceToDepth", "/stem/Conv_SpaceToDepth_3_1_1", "/stem/Conv_Columns_2_1"):
        assert [op.origin for op in profiled(operator(name))] == ["/stem/Conv"]


def test_other_conversions_belong_to_no_op():
    for name in ("input_QuantizeLinear", "Transpose_token_164", "/stem/Conv_SpaceToDepth_Pad"):
        assert [op.origin for op in profiled(operator(name))] == [None]


def test_an_op_keeps_the_origin_that_the_profile_gives():
    assert [op.origin for op in profiled(operator("a_SpaceToDepth", origin="b", kind="int8"))] == ["b"]
