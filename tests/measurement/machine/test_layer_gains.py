"""What each layer gains, and why some gain more than expected."""

from __future__ import annotations

import pytest

from quantize.measurement.machine.layer_gains import LayerGain, measured_gains, surpassing_reason


def test_layers_of_one_shape_are_measured_once(timed, layers, recorded_machines):
    peaks = recorded_machines["vnni"].single
    gains = measured_gains(layers, peaks, timed(lambda probe, threads: 400 if probe.arithmetic == "fp32" else 100))
    assert [(gain.name, gain.layers) for gain in gains] == [
        ("conv1", 1),
        ("fire2/squeeze1x1", 1),
        ("fire2/expand3x3", 2),
        ("/blocks.6/depthwise/Conv", 1),
        ("/fc/Gemm", 1),
    ]
    assert {gain.gain for gain in gains} == {4.0}


def _gain(recorded_machines, **changed: object) -> LayerGain:
    values = {
        "name": "layer",
        "kind": "pointwise",
        "multiply_adds": 10_000_000,
        "fp32_bytes": 100_000,
        "fp32_ns": 100_000.0,
        "int8_ns": 50_000.0,
        "expected": 2.0,
    }
    return LayerGain.model_validate({**values, **changed})


@pytest.mark.parametrize(("fp32_ns", "surpasses"), [(100_000.0, False), (109_000.0, False), (111_000.0, True)])
def test_a_layer_is_listed_from_ten_per_cent_on(recorded_machines, fp32_ns, surpasses):
    assert _gain(recorded_machines, fp32_ns=fp32_ns).surpasses is surpasses


def test_a_layer_that_moves_much_for_what_it_computes_gains_from_memory(recorded_machines):
    machine = recorded_machines["vnni"]
    heavy = _gain(recorded_machines, fp32_bytes=5_100_000, multiply_adds=1_280_000, kind="gemm")
    reason = surpassing_reason(heavy, machine.single, machine.memory_rate)
    assert reason == "memory: 5.1 MB of fp32 values for 1.3 M multiply-adds"


def test_a_layer_whose_shape_suits_int8_better_shows_in_both_shares(recorded_machines):
    machine = recorded_machines["vnni"]
    peak = machine.single.of("pointwise")
    fp32_ns, int8_ns = (10_000_000 * 1e9 / rate for rate in (peak.fp32 / 2, peak.int8 / 1.25))
    reason = surpassing_reason(_gain(recorded_machines, fp32_ns=fp32_ns, int8_ns=int8_ns), machine.single, 1e15)
    assert reason == "shape: fp32 reaches 50 % of its peak in it, int8 80 %"
