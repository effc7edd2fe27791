"""How much opening a model may take, and what became of a process that opened one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from quantize.errors import ModelError
from quantize.processes.addresses import SHORT_BYTES, allowed_addresses
from quantize.processes.bounded import call_within_bounds
from quantize.processes.child import ChildError
from quantize.processes.watch import Watch

if TYPE_CHECKING:
    from quantize.config.run_config import ModelBlock

MEMORY_BYTES, TIMES_SIZE = 2 * 10**9, 6
SECONDS = 60.0

Argument = TypeVar("Argument")


@dataclass(frozen=True)
class Bounds:
    """How much opening a model may take.

    Attributes:
        memory_bytes: Memory of the process that opens it; None: 2 GB plus 6 times the model's size.
        seconds: How long it may take.
    """

    memory_bytes: int | None = None
    seconds: float = SECONDS

    @classmethod
    def of(cls, settings: ModelBlock) -> Bounds:
        """Return the bounds that a configuration sets."""
        return cls(settings.max_memory, settings.opening_seconds)

    def memory_for(self, size: int) -> int:
        """Return the bytes that opening a model of ``size`` bytes may take, its external data included."""
        return MEMORY_BYTES + TIMES_SIZE * size if self.memory_bytes is None else self.memory_bytes


def open_within(bounds: Bounds, function: Callable[[Argument, Watch], Any], argument: Argument, path: Path) -> Any:
    """Return what a function makes of a model file, in a process of its own.

    Args:
        bounds: Of that process.
        function: Of a module that a child can import; opens the file and returns a JSON value.
        argument: Picklable.
        path: The file.

    Raises:
        ModelError: The process died, or a bound was reached.
        QuantizeError: The function raised it.
        ChildError: The function raised something else: a bug.
    """
    memory = bounds.memory_for(path.stat().st_size if path.is_file() else 0)
    try:
        return call_within_bounds(function, argument, seconds=bounds.seconds, memory_bytes=memory)
    except ChildError as error:
        if error.reason == "raised":
            raise
        raise _refused(path, error) from None


def _refused(path: Path, error: ChildError) -> ModelError:
    found = f"{error.how}, while {error.stage}" if error.stage else error.how
    if error.reason == "time":
        return ModelError(
            "opening the model was stopped: it took too long",
            where=str(path),
            found=found,
            expected="a model that is opened, and run on one image, in that time",
            advice="if you trust the file, allow more time: --opening_seconds 10min",
        )
    if error.out_of_memory or "bad_alloc" in error.stderr or "MemoryError" in error.stderr:
        return ModelError(
            "opening the model was stopped: it took too much memory",
            where=str(path),
            found=found,
            expected=f"at most {MEMORY_BYTES / 1e9:g} GB plus {TIMES_SIZE} times its size, or what --max_memory allows",
            advice=_about_addresses() or "if you trust the file, allow more: --max_memory 8GB",
        )
    return ModelError(
        "opening the model ended the process that did it",
        where=str(path),
        found=found,
        expected="a model that onnx and onnxruntime open, and run on one image",
        advice=_about_addresses() or "the file is damaged, or made to do harm: export the model again",
    )


def _about_addresses() -> str | None:
    """Return what to do where this process may take little address space, which looks like any crash."""
    allowed = allowed_addresses()
    if allowed is None or allowed > SHORT_BYTES:
        return None
    return f"this process may take {allowed / 1e6:,.0f} MB of address space: allow it more (`ulimit -v`)"
