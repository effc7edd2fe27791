"""Measuring this CPU: some seconds of work."""

from __future__ import annotations

import platform
from datetime import datetime, timezone

import numpy as np
import onnxruntime

from quantize.measurement.machine import cpu
from quantize.measurement.machine.cpu_class import instruction_sets, this_cpu_class
from quantize.measurement.machine.kernels import measured_kernels
from quantize.measurement.machine.machine import Machine
from quantize.measurement.machine.peak_probes import measured_peaks
from quantize.measurement.machine.probe_times import ProbeTimes, probe_times
from quantize.measurement.timing.clock import Clock, monotonic

# Several times a third-level cache would be truer, and slower; a classifier's largest layers are of this size.
_COPIED = 16 * 2**20
_COPIES = 9


def measure_machine(threads: int, *, times: ProbeTimes = probe_times, clock: Clock = monotonic) -> Machine:
    """Measure this CPU on one thread and, where asked for, on several.

    Args:
        threads: Threads of the second measurement; 1: none.
        times: Measures layers.
        clock: Tells how long it takes.
    """
    begin = clock()
    single = measured_peaks(1, times)
    several = measured_peaks(threads, times) if threads > 1 else None
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
