"""How fast layers run, and the peaks of their kinds."""

from __future__ import annotations

import pytest

from quantize.measurement.machine.layer_shapes import KINDS, ConvShape, GemmShape
from quantize.measurement.machine.probe import Probe
from quantize.measurement.machine.probe_rates import SHAPES, measured_peak_rates, probe_times
from quantize.models.session import MissingKernelError

_GIGA = 1e9


def _at(fp32: float, int8: float, rewritten: float = 1.0):
    """Return nanoseconds at so many G multiply-adds a second; a rewritten first layer's are its own shape's."""

    def nanoseconds(probe, threads):
        rate = fp32 if probe.arithmetic == "fp32" else int8 if probe.block == 1 else rewritten
        return probe.shape.multiply_adds / rate / threads

    return nanoseconds


def test_the_best_shape_of_a_kind_is_its_peak(timed):
    slow = SHAPES["pointwise"][0]

    def nanoseconds(probe, threads):
        return _at(100, 400)(probe, threads) * (3 if probe.shape == slow else 1)

    peak = measured_peak_rates(1, timed(nanoseconds)).of("pointwise")
    assert peak.fp32 == pytest.approx(100 * _GIGA, rel=1e-3)
    assert peak.gain == pytest.approx(4.0, rel=1e-3)


def test_several_threads_share_the_work(timed):
    assert measured_peak_rates(2, timed(_at(10, 10))).of("gemm").fp32 == pytest.approx(20 * _GIGA, rel=1e-3)


def test_a_first_layer_counts_as_it_is_fastest(timed):
    faster = measured_peak_rates(1, timed(_at(100, 50, rewritten=200))).of("first")
    assert faster.rewritten
    assert faster.int8 > 100 * _GIGA
    assert not measured_peak_rates(1, timed(_at(100, 50, rewritten=1))).of("first").rewritten


def test_an_onnxruntime_that_cannot_rewrite_first_layers_measures_them_as_they_are(timed):
    plain = timed(_at(100, 50))

    def times(probes, threads):
        if any(probe.block > 1 for probe in probes):
            raise MissingKernelError("no kernel")
        return plain(probes, threads)

    peak = measured_peak_rates(1, times).of("first")
    assert (peak.rewritten, round(peak.gain, 2)) == (False, 0.5)


def test_times_that_move_between_the_halves_are_reported(timed):
    steady = measured_peak_rates(1, timed(_at(100, 400)))
    assert steady.spread == 0

    def times(probes, threads):
        return tuple((1000, 1000, 1500, 1500) for _ in probes)

    assert measured_peak_rates(1, times).spread == pytest.approx(0.5)


_SMALL = (
    ConvShape(8, 4, (1, 1), (4, 4)),
    ConvShape(4, 4, (3, 3), (5, 5), pads=(1, 1, 1, 1), strides=(2, 2)),
    ConvShape(4, 4, (3, 3), (5, 5), group=4),
    ConvShape(3, 4, (3, 3), (8, 8), strides=(2, 2)),
    GemmShape(3, 8, 5),
)


def test_every_kind_has_layers_that_stand_for_it():
    assert {kind: {shape.kind for shape in SHAPES[kind]} for kind in KINDS} == {kind: {kind} for kind in KINDS}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_measurement_gives_each_layer_as_many_times_and_leaves_nothing_behind(threads, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    probes = [Probe(shape, arithmetic) for shape in _SMALL for arithmetic in ("fp32", "u8s8")]
    runs = probe_times(probes, threads, rounds=3)
    assert len(runs) == len(probes)
    assert len({len(times) for times in runs}) == 1
    assert len(runs[0]) >= 6
    assert list(tmp_path.iterdir()) == []


def test_a_slow_cpu_has_two_rounds_whatever_the_time():
    now = iter(range(0, 10**15, 10**12))
    (times,) = probe_times([Probe(_SMALL[0], "fp32")], 1, rounds=100, clock=lambda: next(now))
    assert len(times) == 6
