"""What a run's models take besides time a run, and where their time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import Preprocessing
from quantize.measurement.machine.resources import Resources, measure_resources
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.operators.profile import profile
from quantize.measurement.timing.plan import Plan
from quantize.models.artifact import ModelArtifact
from quantize.progress import Progress, silent
from quantize.recipe import Recipe
from quantize.run.measuring import prepared_inputs


def measure_anatomy(
    models: Mapping[str, ModelArtifact],
    crops: Crops,
    preprocessing: Preprocessing,
    plan: Plan,
    *,
    profiled: str,
    recipe: Recipe,
    progress: Progress = silent,
) -> tuple[tuple[Resources, ...], Profile]:
    """Return memory and load time of every model, and the operators of the baseline beside one candidate's.

    Args:
        models: Name to model, those of the plan.
        crops: Images to run on.
        preprocessing: How they become inputs.
        plan: Gives the baseline, threads and settings.
        profiled: The candidate whose operators are timed.
        recipe: What it was built from: it says which nodes were kept in fp32 on purpose.
        progress: Told of both.

    Raises:
        MeasurementError: A process was killed, by the kernel for want of memory for example.
    """
    inputs: dict[str, Sequence[npt.NDArray[np.generic]]] = {
        name: prepared_inputs(crops, preprocessing, model) for name, model in models.items()
    }
    resources = measure_resources(plan, {name: images[0] for name, images in inputs.items()}, progress=progress)
    return resources, profile(plan, inputs, profiled, recipe=recipe, progress=progress)
