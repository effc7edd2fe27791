"""Offline throughput at several batch sizes; ``measure`` gives the single-stream figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from quantize.measurement.timing.clock import Clock, monotonic
from quantize.measurement.timing.measure import Inputs, measure
from quantize.measurement.timing.measurement import Measurement
from quantize.measurement.timing.plan import Plan
from quantize.models.session import open_session
from quantize.progress import Progress, silent

_FEWEST_BATCHES = 4
_FEWEST_RUNS = 60


class BatchThroughput(BaseModel):
    """All models at one batch size.

    Attributes:
        batch_size: Images per run.
        measurement: The paired measurement; None if a model cannot take that batch size.
        refused: Why there is no measurement, or None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int
    measurement: Measurement | None
    refused: str | None


def measure_batch_sizes(
    plan: Plan,
    images: Inputs,
    batch_sizes: Sequence[int],
    *,
    clock: Clock = monotonic,
    progress: Progress = silent,
) -> tuple[BatchThroughput, ...]:
    """Measure all models in alternation at each batch size, sharing the plan's time among them.

    Args:
        plan: As for one measurement; ``iteration`` counts images here, so larger batches have fewer runs.
        images: Prepared images of every model as for ``measure``, single ones if the model takes those.
        batch_sizes: Images per run.
        clock: Source of time.
        progress: Called with the number of batch sizes done.

    Returns:
        One entry a batch size, in the order given.

    Raises:
        MeasurementError: As ``measure``.
    """
    fixed = {name: size for name, path in plan.models.items() if (size := _fixed_batch(plan, name)) is not None}
    results = []
    for done, size in enumerate(batch_sizes):
        progress("throughput", done, len(batch_sizes))
        unable = [f"{name} takes {batch} a run, no other number" for name, batch in fixed.items() if batch != size]
        if unable:
            results.append(BatchThroughput(batch_size=size, measurement=None, refused="; ".join(unable)))
            continue
        part = plan.model_copy(
            update={
                "batch_size": size,
                "iteration": max(_FEWEST_RUNS, plan.iteration // size),
                "max_seconds": plan.max_seconds / len(batch_sizes),
            }
        )
        measurement = measure(part, _batched(images, size), clock=clock)
        results.append(BatchThroughput(batch_size=size, measurement=measurement, refused=None))
    progress("throughput", len(batch_sizes), len(batch_sizes))
    return tuple(results)


def in_batches(images: Sequence[npt.NDArray[np.generic]], size: int) -> list[npt.NDArray[np.generic]]:
    """Join single images to at least four batches of ``size`` that begin with different images.

    Args:
        images: Each ``[1, ...]``; or each ``[size, ...]`` already, for a model with a fixed batch: left as is.
        size: Images per batch; images are reused in turn.

    Returns:
        Arrays ``[size, ...]``, contiguous.
    """
    if all(image.shape[0] == size for image in images):
        return list(images)
    count = max(_FEWEST_BATCHES, len(images) // size)
    return [
        np.concatenate([images[(number * size + place) % len(images)] for place in range(size)])
        for number in range(count)
    ]


def _batched(images: Inputs, size: int) -> Mapping[str, list[npt.NDArray[np.generic]]]:
    return {name: in_batches(single, size) for name, single in images.items()}


def _fixed_batch(plan: Plan, name: str) -> int | None:
    size = open_session(plan.models[name], optimization="none").get_inputs()[0].shape[0]
    return size if isinstance(size, int) else None
