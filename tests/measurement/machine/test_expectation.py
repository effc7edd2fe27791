"""The gain that int8 is expected to bring on recorded CPUs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.measurement.machine.expectation import estimate_words, expectation_line, expected
from quantize.measurement.machine.layer_shapes import KINDS
from quantize.measurement.machine.model_layers import ModelLayer
from quantize.measurement.machine.text import busy_words, saturation_words


@pytest.fixture(scope="module")
def expectations(recorded_machines, layers):
    return {cpu_class: expected("net", layers, machine) for cpu_class, machine in recorded_machines.items()}


@given(counts=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 10**9)), min_size=1, max_size=20))
def test_a_model_gains_no_more_than_its_best_kind_and_no_less_than_nothing(recorded_machines, counts):
    layers = [ModelLayer(str(number), kind, count, None) for number, (kind, count) in enumerate(counts)]
    for machine in recorded_machines.values():
        expectation = expected("net", layers, machine)
        gains = [max(1.0, machine.single.of(kind).gain) for kind, _ in counts]
        assert min(gains) - 1e-9 <= expectation.gain <= max(gains) + 1e-9
        assert sum(share.multiply_adds for share in expectation.kinds) == sum(count for _, count in counts)
        for estimate in expectation.elsewhere:
            assert 1.0 <= estimate.low <= estimate.high <= 4.0


def test_layers_that_int8_makes_slower_stay_in_fp32(recorded_machines):
    slower = recorded_machines["avx2"].single.of("depthwise")
    assert slower.gain < 1
    (layer,) = [ModelLayer("a", "depthwise", 1000, None)]
    assert expected("net", [layer], recorded_machines["avx2"]).gain == 1.0


def test_a_model_without_products_has_no_expectation(recorded_machines):
    assert expected("net", (), recorded_machines["vnni"]) is None


def test_vnni_gains_more_than_its_absence(expectations):
    assert expectations["vnni"].gain > 1.2 * expectations["avx2"].gain


@pytest.mark.parametrize("cpu_class", ["vnni", "avx2"])
def test_the_tables_estimate_is_near_to_what_a_cpu_of_the_class_gives(expectations, cpu_class):
    """The table's CPUs differ from 1.0x to 2.0x without VNNI; a Zen 5 held to AVX2 has as many units as Zen 3."""
    other = "avx2" if cpu_class == "vnni" else "vnni"
    (estimate,) = [each for each in expectations[other].elsewhere if each.cpu_class == cpu_class]
    assert 0.75 * estimate.low <= expectations[cpu_class].gain <= 1.25 * estimate.high


def test_the_line_says_here_and_elsewhere(expectations, recorded_machines):
    line = expectation_line(expectations["avx2"], recorded_machines["avx2"])
    assert re.fullmatch(r"net: 1\.\dx expected here; about [23]x with VNNI \(estimate from a table\)", line), line
    line = expectation_line(expectations["vnni"], recorded_machines["vnni"])
    assert re.fullmatch(r"net: \d\.\dx expected here; 1\.0x to 1\.\dx without VNNI \(estimate from a table\)", line), (
        line
    )


def test_the_line_names_the_target_if_that_is_another_class(expectations, recorded_machines):
    line = expectation_line(expectations["vnni"], recorded_machines["vnni"], "arm64")
    assert "on arm64" in line
    assert "VNNI" not in line
    assert "without VNNI" in expectation_line(expectations["vnni"], recorded_machines["vnni"], "vnni")


def test_only_several_threads_are_named(layers, recorded_machines):
    machine = recorded_machines["vnni"]
    two = machine.model_copy(update={"several": machine.single.model_copy(update={"threads": 2})})
    assert "here on 2 threads" in expectation_line(expected("net", layers, two, 2), two)


def test_saturation_and_its_remedy_are_reported(recorded_machines):
    assert "--target auto" in saturation_words(recorded_machines["avx2"])
    assert "exact" in saturation_words(recorded_machines["vnni"])


def test_a_busy_machine_is_reported(recorded_machines):
    machine = recorded_machines["vnni"]
    assert busy_words(machine) is None
    busy = machine.model_copy(update={"several": machine.single.model_copy(update={"threads": 2, "spread": 0.5})})
    assert "50 %" in (busy_words(busy) or "")


def test_an_estimate_of_one_figure_is_rounded_and_a_range_is_not(expectations):
    (vnni,) = [each for each in expectations["avx2"].elsewhere if each.cpu_class == "vnni"]
    assert vnni.low == vnni.high
    assert re.fullmatch(r"about \dx with VNNI", estimate_words(vnni))
