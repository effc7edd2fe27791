"""Measure a run's models on its own images: latencies, memory, operators, pairwise ratios."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from quantize.config.run_config import PerformanceBlock
from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import Preprocessing
from quantize.measurement.machine import measure_cpu
from quantize.measurement.machine.expectation import expected
from quantize.measurement.machine.loads import Resources
from quantize.measurement.machine.model_layers import model_layers
from quantize.measurement.machine.resources import measure_resources
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.operators.profile import profile
from quantize.measurement.timing.measure import Inputs, measure
from quantize.measurement.timing.measurement import Measurement, speedups
from quantize.measurement.timing.plan import Plan
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import in_form
from quantize.progress import Progress, silent
from quantize.recipe import Recipe
from quantize.report.provenance import MachineSection
from quantize.rewrites import RatioInterval
from quantize.run.context import Prepared
from quantize.run.effort import FULL, Effort
from quantize.target import CpuClass

ROTATED_IMAGES = 64

_SECONDS = 10.0
_RUNS = 60


def inputs_of(
    crops: Crops, preprocessing: Preprocessing, models: Mapping[str, ModelArtifact]
) -> dict[str, list[npt.NDArray[np.generic]]]:
    """Return the images of each model by its name, see ``prepared_inputs``; models that take the same share them."""
    made: dict[object, list[npt.NDArray[np.generic]]] = {}
    inputs = {}
    for name, model in models.items():
        contract = model.contract
        key = contract.input.dtype, contract.input_layout, contract.fixed_batch
        if key not in made:
            made[key] = prepared_inputs(crops, preprocessing, model)
        inputs[name] = made[key]
    return inputs


def prepared_inputs(crops: Crops, preprocessing: Preprocessing, model: ModelArtifact) -> list[npt.NDArray[np.generic]]:
    """Return up to 64 different images as the model takes them, each a batch of its size of the same image."""
    batch = model.contract.fixed_batch or 1
    few = crops.subset(range(min(ROTATED_IMAGES, len(crops))))
    images = in_form(model.contract, preprocessing.normalize(np.asarray(few.array[:])))
    if batch == 1:
        return [image[np.newaxis] for image in images]
    return [np.ascontiguousarray(np.repeat(image[np.newaxis], batch, axis=0)) for image in images]


def latency_plan(
    models: Mapping[str, ModelArtifact],
    performance: PerformanceBlock,
    *,
    seed: int,
    max_seconds: float,
    precision: float = 0.02,
    baseline: str | None = "fp32",
) -> Plan:
    """Return the plan of a measurement with ``cores_per_instance`` threads.

    Args:
        models: Name to model.
        performance: Warm-up, iterations, threads.
        seed: Of the order and the bootstrap.
        max_seconds: When to stop in any case.
        precision: Width of the speed-up's interval that suffices.
        baseline: What the others are compared with; None: nothing.
    """
    return Plan(
        models={name: model.path for name, model in models.items()},
        baseline=baseline,
        threads=performance.configs.cores_per_instance,
        warmup=performance.warmup,
        iteration=performance.iteration,
        precision=precision,
        until_precise=False,
        max_seconds=max_seconds,
        seed=seed,
    )


def measure_models(
    models: Mapping[str, ModelArtifact],
    crops: Crops,
    preprocessing: Preprocessing,
    plan: Plan,
    *,
    progress: Progress = silent,
) -> Measurement:
    """Measure models in alternating blocks on up to 64 of the images."""
    inputs = inputs_of(crops, preprocessing, models)
    return measure(plan, inputs, progress=progress)


def measure_anatomy(
    models: Mapping[str, ModelArtifact],
    crops: Crops,
    preprocessing: Preprocessing,
    plan: Plan,
    *,
    profiled: str,
    recipe: Recipe,
    effort: Effort = FULL,
    progress: Progress = silent,
) -> tuple[tuple[Resources, ...], Profile]:
    """Return memory and load time of every model, and the operators of the baseline and of one candidate.

    Args:
        models: Name to model, those of the plan.
        crops: Images to run on.
        preprocessing: How they become inputs.
        plan: Gives the baseline, threads and settings.
        profiled: The candidate whose operators are timed.
        recipe: What it was built from: it says which nodes were kept in fp32 on purpose.
        effort: How often both are measured.
        progress: Receives the progress of both.

    Raises:
        MeasurementError: A process was killed, by the kernel for want of memory for example.
    """
    inputs = inputs_of(crops, preprocessing, models)
    first = {name: images[0] for name, images in inputs.items()}
    resources = measure_resources(plan, first, repeats=effort.loads, progress=progress)
    return resources, profile(plan, inputs, profiled, runs=effort.profiled_runs, recipe=recipe, progress=progress)


def short_pair(
    context: Prepared, baseline: ModelArtifact, candidate: ModelArtifact, *, seconds: float, runs: int
) -> tuple[Plan, Inputs]:
    """Return the plan that measures ``candidate`` against ``baseline``, under these names, and what both take.

    Args:
        context: The run; its images are those that both models take.
        baseline: The one to compare with.
        candidate: The other one.
        seconds: When to stop in any case.
        runs: Timed runs of each before it may stop.
    """
    models, images = {"baseline": baseline, "candidate": candidate}, context.images
    plan = latency_plan(
        models,
        context.config.evaluation.performance,
        seed=context.config.tuning.random_seed,
        max_seconds=context.pair_seconds(seconds),
        precision=0.01,
        baseline="baseline",
    ).model_copy(update={"control": False, "iteration": runs, "until_precise": True})
    return plan, inputs_of(images.evaluation, images.preprocessing, models)


def measured_pair(
    context: Prepared,
    baseline: ModelArtifact,
    candidate: ModelArtifact,
    /,
    *,
    seconds: float,
    runs: int,
    beside: float | None = None,
) -> Measurement:
    """Return a measurement of two models in alternation, under the names ``baseline`` and ``candidate``.

    It may stop as soon as the speed-up is told apart from ``beside``.
    """
    return measure(*short_pair(context, baseline, candidate, seconds=seconds, runs=runs), beside=beside)


def profiled_pair(
    context: Prepared, baseline: ModelArtifact, candidate: ModelArtifact, recipe: Recipe, /, *, runs: int
) -> Profile:
    """Return the profile of two models, under the names ``baseline`` and ``candidate``."""
    plan, inputs = short_pair(context, baseline, candidate, seconds=_SECONDS, runs=_RUNS)
    return profile(plan, inputs, "candidate", runs=runs, recipe=recipe)


def measured_ratio(
    context: Prepared, before: ModelArtifact, after: ModelArtifact, *, beside: float | None = None
) -> RatioInterval:
    """Return how much faster a model is than another one, measured in alternation.

    Args:
        context: The run; its images are those that the models take.
        before: The one to compare with.
        after: The one that may be faster.
        beside: A ratio that suffices to be told apart from; the ratio itself is less precise then.
    """
    (gain,) = speedups(measured_pair(context, before, after, seconds=_SECONDS, runs=_RUNS, beside=beside))
    # Without an interval the ratio itself decides, as in the verdict.
    low, high = (gain.ratio if end is None else end for end in (gain.low, gain.high))
    return RatioInterval(low=low, ratio=gain.ratio, high=high)


def machine_section(name: str, model: ModelArtifact, threads: int, target: CpuClass) -> MachineSection:
    """Return this CPU and what int8 is expected to gain in a model; measured now unless it was before.

    Args:
        name: The model's name for the line.
        model: The prepared fp32 model.
        threads: Threads that the model is measured on.
        target: The class of CPUs that the int8 model is for.
    """
    machine = measure_cpu.this_machine(threads).machine
    expectation = expected(name, model_layers(model.proto()), machine, threads)
    return MachineSection(machine=machine, target=target, threads=threads, expectation=expectation)
