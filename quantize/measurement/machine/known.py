"""The measurement of this CPU, kept between runs."""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
from pydantic import ValidationError

from quantize.data.cache_folder import user_cache
from quantize.files import write_text
from quantize.measurement.machine import cpu
from quantize.measurement.machine.cpu_class import instruction_sets, this_cpu_class
from quantize.measurement.machine.machine import Machine
from quantize.measurement.machine.measuring import measure_machine
from quantize.provenance import fingerprint

# Raised when what is measured, or how, changes.
_VERSION = 1


@dataclass(frozen=True)
class Known:
    """A measurement of this CPU.

    Attributes:
        machine: What was found.
        from_cache: The file that it was read from; None: it was measured now.
    """

    machine: Machine
    from_cache: Path | None


def this_machine(threads: int = 1, *, again: bool = False) -> Known:
    """Return the measurement of this CPU: the kept one of the same CPU, onnxruntime and threads, else a new one.

    Args:
        threads: Threads of the second measurement; 1: none.
        again: Measure whether one was kept or not.
    """
    path = _place(threads)
    if not again:
        kept = _read(path)
        if kept is not None:
            return Known(kept, path)
    machine = measure_machine(threads)
    with suppress(OSError):  # a cache that cannot be written only makes the next run measure again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, machine.model_dump_json(indent=1) + "\n")
    return Known(machine, None)


def _place(threads: int) -> Path:
    key = {
        "version": _VERSION,
        "cpu": cpu.cpu_model(),
        "flags": sorted(instruction_sets()),
        "class": this_cpu_class(),
        "architecture": platform.machine(),
        "cores": cpu.affinity(),
        "onnxruntime": onnxruntime.__version__,
        "build": onnxruntime.get_build_info(),
    }
    return user_cache() / "machine" / f"{fingerprint(key)[:16]}-{threads}.json"


def _read(path: Path) -> Machine | None:
    try:
        return Machine.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None
