"""Peaks: the best of what was measured, and what int8 gains from that."""

from __future__ import annotations

import pytest

from quantize.measurement.machine.kernels import kernel_words, measured_kernels
from quantize.measurement.machine.measure_cpu import measure_machine
from quantize.measurement.machine.probe_rates import SHAPES, measured_peaks
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

    peak = measured_peaks(1, timed(nanoseconds)).of("pointwise")
    assert peak.fp32 == pytest.approx(100 * _GIGA, rel=1e-3)
    assert peak.gain == pytest.approx(4.0, rel=1e-3)


def test_several_threads_share_the_work(timed):
    assert measured_peaks(2, timed(_at(10, 10))).of("gemm").fp32 == pytest.approx(20 * _GIGA, rel=1e-3)


def test_a_first_layer_counts_as_it_is_fastest(timed):
    faster = measured_peaks(1, timed(_at(100, 50, rewritten=200))).of("first")
    assert faster.rewritten
    assert faster.int8 > 100 * _GIGA
    assert not measured_peaks(1, timed(_at(100, 50, rewritten=1))).of("first").rewritten


def test_an_onnxruntime_that_cannot_rewrite_first_layers_measures_them_as_they_are(timed):
    plain = timed(_at(100, 50))

    def times(probes, threads):
        if any(probe.block > 1 for probe in probes):
            raise MissingKernelError("no kernel")
        return plain(probes, threads)

    peak = measured_peaks(1, times).of("first")
    assert (peak.rewritten, round(peak.gain, 2)) == (False, 0.5)


def test_times_that_move_between_the_halves_are_told(timed):
    steady = measured_peaks(1, timed(_at(100, 400)))
    assert steady.spread == 0

    def times(probes, threads):
        return tuple((1000, 1000, 1500, 1500) for _ in probes)

    assert measured_peaks(1, times).spread == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ((100, 400, 150, 20), ("dot product of 4 bytes: exact", "exact", "generic code: exact, slow")),
        ((100, 200, 150, 120), ("exact", "exact", "exact")),
    ],
)
def test_a_kernel_is_told_by_its_speed_and_its_sums(timed, rates, words):
    rate = dict(zip(("fp32", "u8s8", "u8u8", "s8s8"), rates, strict=True))

    def nanoseconds(probe, threads):
        return probe.shape.multiply_adds / rate[probe.arithmetic.removesuffix(" 7 bits")]

    kernels = measured_kernels(timed(nanoseconds), lambda kind, arithmetic: False)
    assert tuple(kernel_words(kernels, arithmetic) for arithmetic in ("u8s8", "u8u8", "s8s8")) == words


def test_a_kernel_that_saturates_is_called_that_however_fast(recorded_machines):
    kernels = recorded_machines["avx2"].kernels
    assert kernel_words(kernels, "u8s8") == "adds pairs in 16 bits: saturates"
    assert kernel_words(kernels, "u8s8 7 bits") == "exact"


def test_no_kernel_is_called_a_dot_product_where_sums_saturate_however_fast_an_emulator_makes_it(recorded_machines):
    fast = tuple(
        kernel.model_copy(update={"conv": 100 * kernel.conv}) for kernel in recorded_machines["avx2"].kernels[1:]
    )
    kernels = (recorded_machines["avx2"].kernels[0], *fast)
    assert {kernel_words(kernels, arithmetic) for arithmetic in ("u8s8 7 bits", "u8u8", "s8s8")} == {"exact"}


def test_this_machine_is_measured_on_one_thread_and_on_several(timed):
    machine = measure_machine(3, times=timed(_at(100, 300)))
    assert machine.several is not None
    assert (machine.single.threads, machine.several.threads) == (1, 3)
    assert machine.peaks(3) == machine.several
    assert machine.memory_rate > 0
    assert measure_machine(1, times=timed(_at(100, 300))).several is None
    with pytest.raises(KeyError):
        machine.peaks(2)
