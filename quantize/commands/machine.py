"""This CPU, the rates that its kernels reach, and the speed-up expected of int8 in a model."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from quantize.errors import ConfigError, ModelError
from quantize.files import scratch_folder
from quantize.formats import quantized_format
from quantize.graph.cleaning import name_nodes
from quantize.measurement.machine import measure_cpu
from quantize.measurement.machine.cpu_measurement import Machine
from quantize.measurement.machine.expectation import Expectation, expected
from quantize.measurement.machine.layer_gains import LayerGain, measured_gains
from quantize.measurement.machine.model_layers import ModelLayer, model_layers
from quantize.measurement.machine.probe_rates import probe_times
from quantize.models.prepare import prepare
from quantize.models.reading import read_model
from quantize.models.score_tensor import score_tensors
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.processes.pool import available_cpus
from quantize.report.section import Section

# Turns of each of a model's layers: many layers, and a good gain matters more than the last per cent of a peak.
_ROUNDS, _SECONDS = 5, 0.5


class MachineReport(Section):
    """What ``quantize machine`` shows.

    Attributes:
        machine: The CPU.
        from_cache: Whether it had been measured before.
        expectation: What int8 is expected to gain in the model; None if none was named, or no shape is known.
        layers: What the model's layers gain, each shape measured alone; empty without a model.
    """

    machine: Machine
    from_cache: bool
    expectation: Expectation | None
    layers: tuple[LayerGain, ...]


def examine_machine(
    model: Path | None = None, threads: int | None = None, *, again: bool = False, bounds: Bounds = Bounds()
) -> tuple[MachineReport, Path | None]:
    """Return what this CPU reaches and int8 is expected to gain in a model, and the file with an earlier measurement.

    Args:
        model: An fp32 model; None: the CPU alone.
        threads: Measured in addition to one thread; None: as many as there are cores.
        again: Measure whether that was done before or not.
        bounds: Of opening the model.

    Raises:
        ConfigError: More threads than cores.
        ModelError: The model cannot be read, or is quantized.
    """
    cores = available_cpus()
    if threads is not None and threads > cores:
        raise ConfigError(
            "more cores than this machine has",
            where="--cores_per_instance",
            found=str(threads),
            expected=f"at most {cores}, which this process may run on",
            advice="ask for fewer, or let the process run on more (taskset, container limits)",
        )
    layers = () if model is None else _layers(model, bounds)
    here = measure_cpu.this_machine(threads or cores, again=again)
    expectation = None
    gains: tuple[LayerGain, ...] = ()
    if model is not None:
        # Without a number of threads: one, as `tune` measures without one.
        expectation = expected(model.stem, layers, here.machine, threads or 1)
        times = partial(probe_times, rounds=_ROUNDS, max_seconds=_SECONDS)
        gains = measured_gains(layers, here.machine.peak_rates(threads or 1), times)
    report = MachineReport(
        machine=here.machine, from_cache=here.from_cache is not None, expectation=expectation, layers=gains
    )
    return report, here.from_cache


def _layers(model: Path, bounds: Bounds) -> tuple[ModelLayer, ...]:
    prove(model, bounds, prepares=True)
    if quantized_format(read_model(model)) != "float":
        raise ModelError(
            "gains of int8 are estimated for fp32 models only",
            where=str(model),
            found="a quantized model",
            advice="name the fp32 model that it was made from",
        )
    with scratch_folder("machine") as folder:
        # Which output holds the scores changes no time.
        scores = next((tensor.name for tensor in score_tensors(read_model(model))), None)
        proto = prepare(model, folder / "fp32.onnx", score_output=scores).proto()
    name_nodes(proto.graph.node)
    return model_layers(proto)
