"""What a model takes besides its time per run: time to load it, and memory."""

from __future__ import annotations

import statistics
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Load(BaseModel):
    """One process that loaded a model and ran it.

    Attributes:
        load_ns: Time to open the session, the file being in the system's cache.
        first_run_ns: Time of its first run.
        before_bytes: Resident set size before loading: the interpreter, onnxruntime and one input.
        loaded_bytes: Resident set size with the session open.
        peak_bytes: Largest resident set size while loading and running; None if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    load_ns: int
    first_run_ns: int
    before_bytes: int
    loaded_bytes: int
    peak_bytes: int | None


class Resources(BaseModel):
    """What a model takes besides its time per run.

    Attributes:
        name: The model's name in the plan.
        loads: One entry per process.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    loads: Annotated[tuple[Load, ...], Field(min_length=1)]

    @property
    def load_ns(self) -> float:
        """Return the median time to open a session, in nanoseconds."""
        return statistics.median(load.load_ns for load in self.loads)

    @property
    def first_run_ns(self) -> float:
        """Return the median time of a session's first run, in nanoseconds."""
        return statistics.median(load.first_run_ns for load in self.loads)

    @property
    def peak_bytes(self) -> float | None:
        """Return the median peak of the whole process, in bytes; None if unknown."""
        peak_bytes = [load.peak_bytes for load in self.loads if load.peak_bytes is not None]
        return statistics.median(peak_bytes) if len(peak_bytes) == len(self.loads) else None

    @property
    def model_bytes(self) -> float | None:
        """Return the median of what the model adds to the process's peak, in bytes."""
        added = [load.peak_bytes - load.before_bytes for load in self.loads if load.peak_bytes is not None]
        return statistics.median(added) if len(added) == len(self.loads) else None
