"""What doctor says about the CPU."""

from __future__ import annotations

import pytest

from quantize.examination.cpu import examine_cpu, examine_saturation
from quantize.examination.saturation import LayerSaturation
from quantize.measurement.machine.expectation import expected
from quantize.measurement.machine.model_layers import ModelLayer
from quantize.report.provenance import MachineSection

_LAYERS = (ModelLayer("stem", "first", 20_000_000, None), ModelLayer("wide", "pointwise", 300_000_000, None))


@pytest.fixture
def section(recorded_machines):
    def of(cpu_class: str, layers=_LAYERS) -> MachineSection:
        machine = recorded_machines[cpu_class]
        return MachineSection(
            machine=machine, target=cpu_class, threads=1, expectation=expected("net", layers, machine)
        )

    return of


def test_a_cpu_without_vnni_is_reported_with_what_int8_gains_there(section):
    examined = examine_cpu(section("avx2"))
    (note,) = examined.findings
    assert note.severity == "note"
    assert note.what.startswith("This CPU has no dot product of int8 (VNNI): int8 is expected to gain 1.")
    assert "saturate here" in note.evidence
    assert note.command == "--target vnni"
    assert examined.check.text.startswith("class avx2; net: 1.")


def test_a_cpu_with_vnni_is_reported_in_its_line_alone(section):
    examined = examine_cpu(section("vnni"))
    assert (examined.check.outcome, examined.findings) == ("right", ())
    assert "expected here" in examined.check.text


def test_a_model_of_unknown_shapes_is_no_problem(section):
    examined = examine_cpu(section("avx2", ()))
    assert "unknown" in examined.check.text
    assert "what int8 gains here is not known" in examined.findings[0].what


def test_a_busy_machine_is_reported_in_the_line(section):
    speed = section("vnni")
    single = speed.machine.single.model_copy(update={"spread": 0.5})
    busy = speed.model_copy(update={"machine": speed.machine.model_copy(update={"single": single})})
    assert "The machine was busy" in examine_cpu(busy).check.text


@pytest.mark.parametrize("target", ["vnni", "avx2", "arm64", "any"])
@pytest.mark.parametrize("reduce_range", [False, True])
def test_the_advice_against_saturation_is_a_target_and_never_reduce_range(target, reduce_range):
    from quantize.config.quantization import QuantizationBlock

    settings = QuantizationBlock(target=target, reduce_range=reduce_range)
    layer = LayerSaturation("conv", pairs=100, saturated=50, noise=0.5)
    examined = examine_saturation([layer], settings, lambda bits: 0.9)
    advice = " ".join([examined.check.text, *(f"{finding.advice} {finding.command}" for finding in examined.findings)])
    assert "--target" in advice
    assert "reduce_range" not in advice
