from __future__ import annotations

from types import SimpleNamespace

from quantize.engines.native.search.profiled_times import ProfiledTimes


def operator(name, origin=None, kind="conversion", time_ns=1.0):
    return SimpleNamespace(name=name, origin=origin, kind=kind, time_ns=time_ns)


def profiled(*operators):
    sides = SimpleNamespace(operators=operators)
    return ProfiledTimes.of(SimpleNamespace(baseline=SimpleNamespace(operators=()), candidate=sides)).candidate


def test_moves_before_a_rewritten_conv_are_counted_with_it():
    for name in ("/stem/Conv_SpaceToDepth", "/stem/Conv_SpaceToDepth_3_1_1"):
        assert [op.origin for op in profiled(operator(name))] == ["/stem/Conv"]


def test_other_conversions_belong_to_no_op():
    for name in ("input_QuantizeLinear", "Transpose_token_164", "/stem/Conv_SpaceToDepth_Pad"):
        assert [op.origin for op in profiled(operator(name))] == [None]


def test_an_op_keeps_the_origin_that_the_profile_gives():
    assert [op.origin for op in profiled(operator("a_SpaceToDepth", origin="b", kind="int8"))] == ["b"]
