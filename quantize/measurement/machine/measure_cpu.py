"""Measure this CPU, which takes some seconds, and cache the result between runs."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import onnxruntime
from pydantic import ValidationError

from quantize.cache_folder import user_cache
from quantize.errors import StorageError
from quantize.files import write_text
from quantize.measurement.machine import cpu
from quantize.measurement.machine.cpu_class import instruction_sets, this_cpu_class
from quantize.measurement.machine.cpu_measurement import Machine
from quantize.measurement.machine.kernels import measured_kernels
from quantize.measurement.machine.probe_rates import ProbeTimes, measured_peak_rates, probe_times
from quantize.measurement.timing.clock import Clock, monotonic
from quantize.provenance import fingerprint

# Several times a third-level cache would be truer, and slower; a classifier's largest layers are of this size.
_COPIED = 16 * 2**20
_COPIES = 9


def measure_machine(threads: int, *, times: ProbeTimes = probe_times, clock: Clock = monotonic) -> Machine:
    """Measure this CPU on one thread and, if requested, on several.

    Args:
        threads: Threads of the second measurement; 1 for none.
        times: Measures layers.
        clock: Times the measurement.
    """
    begin = clock()
    single = measured_peak_rates(1, times)
    several = measured_peak_rates(threads, times) if threads > 1 else None
    return Machine(
        cpu_class=this_cpu_class(),
        cpu_model=cpu.cpu_model(),
        architecture=platform.machine(),
        instruction_sets=tuple(sorted(instruction_sets())),
        cores=len(cpu.affinity() or range(cpu.logical_cores())),
        onnxruntime=onnxruntime.__version__,
        kernels=measured_kernels(times),
        memory_rate=_memory_rate(clock),
        single=single,
        several=several,
        measured=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=(clock() - begin) / 1e9,
    )


def _memory_rate(clock: Clock) -> float:
    source, target = np.ones(_COPIED, np.uint8), np.zeros(_COPIED, np.uint8)
    shortest = None
    for _ in range(_COPIES):
        begin = clock()
        np.copyto(target, source)
        taken = max(1, clock() - begin)
        shortest = taken if shortest is None else min(shortest, taken)
    assert shortest is not None
    return 2 * _COPIED * 1e9 / shortest


# Raised when what is measured, or how, changes.
_VERSION = 1


@dataclass(frozen=True)
class Known:
    """A measurement of this CPU.

    Attributes:
        machine: The measurement.
        from_cache: The file that it was read from; None if it was measured now.
    """

    machine: Machine
    from_cache: Path | None


def this_machine(
    threads: int = 1, *, again: bool = False, measure: Callable[[int], Machine] = measure_machine
) -> Known:
    """Return the measurement of this CPU: cached for the same CPU, onnxruntime and threads, or made now.

    Args:
        threads: Threads of the second measurement; 1 for none.
        again: Measure even if a cached measurement exists.
        measure: Measures this CPU.
    """
    path = _place(threads)
    if not again:
        kept = _read(path)
        if kept is not None:
            return Known(kept, path)
    machine = measure(threads)
    with suppress(StorageError):  # a cache that cannot be written only makes the next run measure again
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
