"""What takes longer than expected, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantize.measurement.operators.bottlenecks import bottlenecks
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.operators.profile_text import profile_text
from tests.measurement.operators.builders import conv, operator, with_operators


def test_what_costs_most_of_the_difference_comes_first_and_names_the_rewrite_that_helps(profiled):
    assert [(each.what, each.rewrite) for each in bottlenecks(profiled)] == [
        ("conv1 (Conv)", "space-to-depth"),
        ("cat (Concat)", "common-scales"),
        ("QuantizeLinear", None),
        ("Softmax", None),
    ]


def test_every_loss_reports_both_times_what_was_expected_and_what_to_do(profiled):
    conv1, concat, quantize, _ = bottlenecks(profiled)
    assert (conv1.fp32_ns, conv1.int8_ns, conv1.expected_ns) == (200_000, 300_000, pytest.approx(200_000 / 3))
    assert (concat.fp32_ns, concat.int8_ns, concat.expected_ns) == (25_000, 50_000, 25_000)
    assert (quantize.fp32_ns, quantize.int8_ns, quantize.expected_ns) == (0, 20_000, 0)
    assert all(each.advice for each in bottlenecks(profiled))


def test_a_pool_that_int8_makes_many_times_slower_comes_first(profiled):
    pool = {"origin": "pool1", "origin_op": "MaxPool"}
    before = (operator("pool1", "MaxPool", "fp32", 300, **pool),)
    after = (operator("pool1", "MaxPool", "int8", 8600, **pool),)
    slow = bottlenecks(with_operators(profiled, before, after))[0]
    assert (slow.what, slow.fp32_ns, slow.int8_ns, slow.excess_ns) == ("pool1 (MaxPool)", 300e3, 8600e3, 8300e3)
    assert slow.rewrite is None, "Softmax stands before it"
    stem = conv("stem", "fp32", 100, 1000)
    quantize = operator("q", "QuantizeLinear", "conversion", 20)
    slow = bottlenecks(with_operators(profiled, (stem, *before), (stem, quantize, *after)))[0]
    assert (slow.what, slow.rewrite) == ("pool1 (MaxPool)", "pool-before-activation")


def test_the_pool_of_a_real_float_stem_comes_first():
    """Recorded SqueezeNet by onnxruntime's quantizer with conv1 in fp32, on kernels without VNNI."""
    text = (Path(__file__).parent / "profiles" / "squeezenet_float_stem_avx2.json").read_text(encoding="utf-8")
    recorded = Profile.model_validate_json(text)
    first, second, *_ = bottlenecks(recorded)
    assert first.what == "pool1 (MaxPool)"
    assert first.excess_ns > 0.4 * recorded.candidate.run_ns
    assert first.excess_ns > second.excess_ns
    lines = profile_text(recorded).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    table = next(place for place, line in enumerate(lines) if line.startswith("where int8 loses time, most first"))
    assert lines[table + 1].split()[0] == "pool1"
    assert lines[table + 2].strip() == ("to do: apply rewrite pool-before-activation (no fast int8 kernel)")


def test_a_first_conv_that_is_rewritten_already_gets_no_such_advice(profiled):
    for name, op_type in (
        ("conv1_SpaceToDepth_1_1", "Transpose"),
        ("cells", "SpaceToDepth"),
        ("conv1_Columns_1", "Gather"),
    ):
        slow = bottlenecks(with_operators(profiled, (), (operator(name, op_type, "conversion", 1),)))
        assert [each.rewrite for each in slow if each.what == "conv1 (Conv)"] == [None]


def test_a_product_that_is_slower_in_int8_is_to_be_left_in_fp32(profiled):
    changed = with_operators(profiled, (conv("slow", "fp32", 100, 1000),), (conv("slow", "int8", 300, 1000),))
    slow = next(each for each in bottlenecks(changed) if each.what == "slow (Conv)")
    assert (slow.why, slow.advice) == ("int8, slower than fp32", "leave it in fp32 (--placement measured)")


def test_a_product_that_stayed_in_fp32_says_why(profiled):
    kept = conv("kept", "fp32", 100, 1000).model_copy(update={"reason": "kept by the recipe"})
    slow = next(
        each
        for each in bottlenecks(with_operators(profiled, (conv("kept", "fp32", 100, 1000),), (kept,)))
        if each.what == "kept (Conv)"
    )
    assert (slow.why, slow.rewrite) == ("in fp32, kept by the recipe", None)


def test_depthwise_convolutions_are_one_loss_together(profiled):
    names = ("a", "b", "c")
    before = tuple(conv(name, "fp32", 100, 1000, "depthwise") for name in names)
    after = tuple(conv(name, "int8", 100, 1000, "depthwise") for name in names)
    slow = next(each for each in bottlenecks(with_operators(profiled, before, after)) if "depthwise" in each.what)
    assert (slow.what, slow.fp32_ns, slow.int8_ns) == ("3 depthwise Conv", 300_000, 300_000)
    assert slow.excess_ns == pytest.approx(200_000)


def test_operators_that_both_models_add_count_by_what_int8_adds(profiled):
    reorder = operator("r", "ReorderOutput", "conversion", 30)
    slower = reorder.model_copy(update={"time_ns": 80_000.0})
    slow = next(
        each for each in bottlenecks(with_operators(profiled, (reorder,), (slower,))) if each.what == "ReorderOutput"
    )
    assert slow.excess_ns == 50_000


def test_a_gelu_without_the_bias_that_fp32s_takes_in_is_held_against_that_one(profiled):
    """As onnxruntime runs a transformer: no node of either has a name of the model."""
    before = (operator("BiasGelu", "BiasGelu", "fp32", 90), operator("skip", "SkipLayerNormalization", "fp32", 9))
    after = (operator("Gelu", "Gelu", "fp32", 60), operator("norm", "LayerNormalization", "fp32", 9))
    assert not {"Gelu", "LayerNormalization"} & {
        each.what for each in bottlenecks(with_operators(profiled, before, after))
    }
    slow = (operator("Gelu", "Gelu", "fp32", 190),)
    found = next(each for each in bottlenecks(with_operators(profiled, before, slow)) if each.what == "Gelu")
    assert (found.fp32_ns, found.int8_ns, found.excess_ns) == (90e3, 190e3, 100e3)


def test_a_pool_whose_name_is_lost_has_the_same_advice(profiled):
    before = (operator("pool1", "MaxPool", "fp32", 300, origin="pool1", origin_op="MaxPool"),)
    after = (operator("pooled_nhwc", "NhwcMaxPool", "int8", 8600),)
    slow = bottlenecks(with_operators(profiled, before, after))[0]
    assert (slow.what, slow.fp32_ns, slow.int8_ns) == ("MaxPool", 300e3, 8600e3)
    assert slow.advice == "leave it and the layer before it in fp32"
