"""What int8 is expected to gain in a run's model: known before anything is tuned."""

from __future__ import annotations

from quantize.measurement.machine import measure_cpu
from quantize.measurement.machine.expectation import expected
from quantize.measurement.machine.model_layers import model_layers
from quantize.models.artifact import ModelArtifact
from quantize.report.machine import MachineSection
from quantize.target import CpuClass


def machine_section(name: str, model: ModelArtifact, threads: int, target: CpuClass) -> MachineSection:
    """Return this CPU and what int8 is expected to gain in a model; measured now where it was not before.

    Args:
        name: The model's name for the line.
        model: The prepared fp32 model.
        threads: Threads that the model is measured on.
        target: The class of CPUs that the int8 model is for.
    """
    machine = measure_cpu.this_machine(threads).machine
    expectation = expected(name, model_layers(model.proto()), machine, threads)
    return MachineSection(machine=machine, target=target, threads=threads, expectation=expectation)
