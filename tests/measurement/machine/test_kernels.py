"""Which kernels onnxruntime takes, recognised by their speed and sums."""

from __future__ import annotations

import pytest

from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.machine.kernels import kernel_words, measured_kernels, saturates
from quantize.measurement.machine.layer_shapes import KINDS


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ((100, 400, 150, 20), ("dot product of 4 bytes: exact", "exact", "generic code: exact, slow")),
        ((100, 200, 150, 120), ("exact", "exact", "exact")),
    ],
)
def test_a_kernel_is_recognised_by_its_speed_and_its_sums(timed, rates, words):
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


@pytest.mark.parametrize("kind", KINDS)
def test_sums_saturate_on_cpus_without_a_dot_product_and_nowhere_else(kind):
    """Depthwise layers have their own kernel, which adds in 32 bits."""
    assert saturates(kind, "u8s8") == (this_cpu_class() == "avx2" and kind != "depthwise")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arithmetic", ["u8s8 7 bits", "u8u8", "s8s8"])
def test_seven_bits_and_other_types_never_saturate(kind, arithmetic):
    assert not saturates(kind, arithmetic)
