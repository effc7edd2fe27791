"""The latencies of a run's models, measured against each other on its own images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from quantize.config.evaluation import PerformanceBlock
from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import Preprocessing
from quantize.measurement.timing.measure import measure
from quantize.measurement.timing.measurement import Measurement
from quantize.measurement.timing.plan import Plan
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import in_form
from quantize.progress import Progress, silent

ROTATED_IMAGES = 64


def prepared_inputs(crops: Crops, preprocessing: Preprocessing, model: ModelArtifact) -> list[npt.NDArray[np.generic]]:
    """Return up to 64 different images as the model takes them, each a batch of its size of the same image."""
    batch = model.contract.fixed_batch or 1
    few = crops.subset(range(min(ROTATED_IMAGES, len(crops))))
    images = in_form(model.contract, preprocessing.normalize(np.asarray(few.array[:])))
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
    inputs = {name: prepared_inputs(crops, preprocessing, model) for name, model in models.items()}
    return measure(plan, inputs, progress=progress)
