"""One screen that says why a model is not faster."""

from __future__ import annotations

from quantize.measurement.operators.operator_times import ModelProfile
from quantize.measurement.operators.profile_text import profile_text
from tests.measurement.operators.builders import conv, operator, with_operators


def test_a_product_that_gains_over_ten_per_cent_more_is_listed_with_the_reason(measured):
    heavy = {"origin": "fc", "origin_op": "Gemm", "layer": "gemm", "fp32_bytes": 5_100_000, "multiply_adds": 1_280_000}
    before = (operator("fc", "Gemm", "fp32", 200, **heavy),)
    after = (operator("fc", "QGemm", "int8", 20, **heavy),)
    text = " ".join(profile_text(with_operators(measured, before, after)).split())
    assert "gain over 10 % more than expected fc, 10.00x of 3.07x: memory: 5.1 MB of fp32 values" in text
    assert "gain over 10 %" not in profile_text(measured)


def test_one_screen_answers_why_it_is_not_faster(profiled):
    text = profile_text(profiled)
    lines = text.splitlines()
    assert len(lines) <= 40
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "Why is int8 not faster?"
    assert "conv1 (Conv) 200 us 300 us 67 us 233 us" in " ".join(text.split())
    assert "to do: apply rewrite space-to-depth, or leave it in fp32 (3 input channels)" in text
    assert "to do: apply rewrite common-scales (requantizes, unequal scales)" in text
    assert "Conv and MatMul layers gain 1.60x; from its typical layer, 3.00x is expected." in text
    assert "35 % of 400 G/s" in text
    assert "Softmax 10 us, not quantized" in text


def test_a_model_without_losses_says_so(profiled):
    only = ModelProfile(name="int8", operators=(conv("conv2", "int8", 200, 60_000_000),), outside_ns=0)
    assert "No operator loses 1 % of the time or more." in profile_text(profiled.model_copy(update={"candidate": only}))


def test_long_names_and_many_operators_still_fit_one_screen(profiled):
    name = "/a/very/long/path/of/modules/blocks.{}/depthwise_conv/Conv"
    before = tuple(conv(name.format(n), "fp32", 100, 1000, "depthwise") for n in range(40))
    after = tuple(conv(name.format(n), "int8", 20 + 5 * n, 1000, "depthwise") for n in range(40))
    kept = tuple(operator(str(n), f"Op{n}", "fp32", 3, origin_op=f"Op{n}", reason="not quantized") for n in range(30))
    crowded = profiled.model_copy(
        update={
            "baseline": ModelProfile(name="b" * 60, operators=before, outside_ns=0),
            "candidate": ModelProfile(name="c" * 60, operators=after + kept, outside_ns=0),
        }
    )
    lines = profile_text(crowded).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
