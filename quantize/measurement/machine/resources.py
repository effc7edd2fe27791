"""Session load time and peak memory of each model, each in its own process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantize.errors import MeasurementError
from quantize.files import scratch_folder
from quantize.measurement.machine.loads import Load, Resources
from quantize.measurement.machine.model_load import load_and_run
from quantize.measurement.timing.plan import Plan
from quantize.processes.calls import call_in_child
from quantize.processes.child import ChildError
from quantize.progress import Progress, silent


def measure_resources(
    plan: Plan,
    images: Mapping[str, npt.NDArray[np.generic]],
    *,
    repeats: int = 3,
    runs: int = 5,
    progress: Progress = silent,
) -> tuple[Resources, ...]:
    """Load and run every model in fresh processes, in turns.

    Args:
        plan: Gives models, threads, spinning and optimization.
        images: One prepared input of each model.
        repeats: Processes per model.
        runs: Runs in each; memory grows until the arena has its final size.
        progress: Called with the number of processes done.

    Raises:
        MeasurementError: A process was killed, for example because memory ran out.
    """
    loads: dict[str, list[Load]] = {name: [] for name in plan.models}
    total = repeats * len(plan.models)
    with scratch_folder("resources") as folder:
        for name, path in plan.models.items():
            np.save(folder / f"{list(plan.models).index(name)}.npy", images[name])
            # Into the system's cache, for all loads alike; in parts, as a model may be large.
            with path.open("rb") as stream, Path(os.devnull).open("wb") as nowhere:
                shutil.copyfileobj(stream, nowhere)
        for done in range(total):
            name = list(plan.models)[done % len(plan.models)]
            progress("memory and load time", done, total)
            request = {
                "model": str(plan.models[name].resolve()),
                "image": str(folder / f"{done % len(plan.models)}.npy"),
                "runs": runs,
                "threads": plan.threads,
                "spinning": plan.spinning,
                "optimization": plan.optimization,
            }
            with as_measurement_error():
                load = call_in_child(load_and_run, request, seconds=None, memory_bytes=None)
            loads[name].append(Load.model_validate(load))
    progress("memory and load time", total, total)
    return tuple(Resources(name=name, loads=tuple(own)) for name, own in loads.items())


@contextmanager
def as_measurement_error() -> Iterator[None]:
    """Turn the end of a child by a signal into an error for the user; any other failure of a child is a bug.

    Raises:
        MeasurementError: A process was killed.
    """
    try:
        yield
    except ChildError as error:
        if error.signal is None:
            raise
        raise MeasurementError(
            "a process of the benchmark was ended from outside",
            found=f"{error.signal.name} in {error.child}",
            advice="see whether memory ran out; run fewer instances at once",
        ) from None
