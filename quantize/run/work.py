"""What a run has to do, known before anything long begins: images, layers, engines, and this machine's own time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnx import ModelProto

from quantize.engines.engine import engine_named, engines_for
from quantize.engines.native.builder.layers import layers, windows
from quantize.models.artifact import ModelArtifact
from quantize.processes.pool import available_cpus
from quantize.recipe import EngineName
from quantize.report.provenance import MachineSection
from quantize.run.all_cores import seconds_on_all_cores
from quantize.run.effort import FULL, Effort, effort_of
from quantize.run.first_timing import first_timing
from quantize.run.request import RunRequest


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a run has to do, and what this machine takes for it.

    Attributes:
        images: Images that are decoded.
        evaluated: Images that trials may see.
        certification: Images that no trial sees.
        calibrated: Images that calibrate.
        layers: Layers with weights.
        rounding: Multiply-adds of rounding all weights once: of each layer, its weights times the inputs of an output.
        fp32: Seconds of fp32 on one image, on one core.
        int8: What int8 takes of that, a fraction: as it is expected on this CPU.
        slowness: How many times as long as on the machine of the figures everything else takes.
        cores: Cores that work.
        searches: The stage in which each engine searches, and the engine.
        iterations: Timed runs of each model in the benchmark.
        most_search: Seconds that an engine's search may take.
        most_benchmark: Seconds that the benchmark may take.
        most_all_cores: Seconds that the files may be timed on all cores; 0: they are not.
        quick: Whether it is a quick run.
        is_placed: Whether layers that measure slower in int8 go back to float, with engines that do not see to it.
        is_repeated: Whether a recorded recipe is built again, without a search.
        effort: How much each stage does.
    """

    images: int
    evaluated: int
    certification: int
    calibrated: int
    layers: int
    fp32: float
    int8: float
    slowness: float
    cores: int
    searches: tuple[tuple[str, EngineName], ...]
    iterations: int
    most_search: float
    most_benchmark: float
    most_all_cores: float = 0.0
    quick: bool = False
    is_placed: bool = True
    is_repeated: bool = False
    rounding: int = 0
    effort: Effort = FULL


def work_of(
    request: RunRequest, model: ModelArtifact, machine: MachineSection, *, images: int, side: int
) -> Work | None:
    """Return what a run has to do, after a short timing of the machine; None where its model cannot be timed.

    Args:
        request: What the run does.
        model: The prepared fp32 model.
        machine: What int8 is expected to gain here.
        images: Images that it takes.
        side: Their height and width.
    """
    timing = first_timing(model, side)
    if timing is None:
        return None
    config, proto = request.config, model.proto()
    calibration, performance, tuning = config.quantization.calibration, config.evaluation.performance, config.tuning
    calibrated = min(calibration.sampling_size, images)
    gain = machine.expectation.gain if machine.expectation is not None else 1.0
    return Work(
        images=images,
        evaluated=images if calibration.in_evaluation else max(1, images - calibrated),
        certification=0,
        calibrated=calibrated,
        layers=sum(1 for _ in layers(proto)),
        rounding=rounding_of(proto),
        fp32=timing.fp32,
        int8=1 / max(gain, 1.0),
        slowness=timing.slowness,
        cores=available_cpus(),
        searches=_searches(request),
        iterations=performance.iteration,
        most_search=tuning.time_budget,
        most_benchmark=performance.max_seconds - seconds_on_all_cores(config),
        most_all_cores=seconds_on_all_cores(config),
        quick=tuning.quick,
        is_placed=tuning.placement == "measured" and request.recorded is None,
        is_repeated=request.recorded is not None,
        effort=effort_of(config),
    )


def rounding_of(model: ModelProto) -> int:
    """Return the multiply-adds of rounding all weights once that are rounded by their inputs' second moments."""
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    weights = {layer.node: sizes[layer.weight] for layer in layers(model)}
    return sum(weights[window.node] * window.inputs for window in windows(model))


def _searches(request: RunRequest) -> tuple[tuple[str, EngineName], ...]:
    if request.recorded is not None:
        return (("tune", request.recorded.chosen.recipe.engine),)
    setting = request.config.tuning.engine
    engines = engines_for(setting)
    if len(engines) == 1 and setting != "all":
        return (("tune", engines[0]),)
    return tuple((f"tune with {engine_named(name).in_words}", name) for name in engines)
