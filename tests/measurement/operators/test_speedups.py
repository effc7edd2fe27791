"""Speed-ups of operators, their costs and their throughput."""

from __future__ import annotations

import pytest

from quantize.measurement.operators.profile_text import profile_text
from quantize.measurement.operators.speedups import (
    arithmetic_rates,
    costs,
    expected_speedup,
    operator_speedups,
    typical_speedup,
)
from tests.measurement.operators.builders import conv


def test_an_operator_that_both_models_run_has_a_speed_up_and_an_excess(profiled):
    speedups = operator_speedups(profiled)
    assert [(each.name, round(each.ratio, 2)) for each in speedups] == [("conv1", 0.67), ("conv2", 3.0), ("cat", 0.5)]
    assert typical_speedup(profiled) == pytest.approx(3.0)
    assert speedups[0].excess_ns == pytest.approx(300_000 - 200_000 / 3)


def test_conversions_and_fp32_operators_cost_what_they_take(profiled):
    assert [(cost.label, cost.time_ns) for cost in costs(profiled.candidate, "conversion")] == [
        ("Concat", 50_000),
        ("QuantizeLinear", 20_000),
    ]
    assert [(cost.label, cost.reason) for cost in costs(profiled.candidate, "fp32")] == [("Softmax", "not quantized")]


def test_what_is_expected_follows_this_cpus_peaks_of_the_layers_kind(measured, recorded_machines):
    gain = recorded_machines["vnni"].single.of("pointwise").gain
    speedups = {each.name: each for each in operator_speedups(measured)}
    assert speedups["conv2"].expected_ns == pytest.approx(600_000 / gain)
    assert speedups["conv1"].expected_ns == 200_000, "int8 is slower in first layers: fp32 would do"
    assert expected_speedup(measured) == pytest.approx(800_000 / (200_000 + 600_000 / gain))
    assert "from this CPU's peaks" in profile_text(measured)


def test_the_roofline_counts_the_multiply_adds_of_each_kind(profiled):
    int8 = arithmetic_rates(profiled, profiled.candidate)["int8"]
    assert int8.rate == pytest.approx(70e6 / 500e-6)
    assert int8.share == pytest.approx(0.35)
    assert set(arithmetic_rates(profiled, profiled.baseline)) == {"fp32"}


def test_an_operator_in_two_nodes_is_one_gain_and_counts_once(profiled):
    twice = (*profiled.candidate.operators, conv("conv2", "int8", 100, 60_000_000))
    candidate = profiled.candidate.model_copy(update={"operators": twice})
    changed = profiled.model_copy(update={"candidate": candidate})
    assert next(gain for gain in operator_speedups(changed) if gain.name == "conv2").ratio == pytest.approx(2.0)
    assert arithmetic_rates(changed, candidate)["int8"].multiply_adds == 70_000_000
