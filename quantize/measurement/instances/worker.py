"""One instance in its own process: pins itself to cores, opens sessions and runs on command."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from quantize.measurement.timing.blocks import Block
from quantize.measurement.timing.clock import involuntary_switches, monotonic
from quantize.measurement.timing.interleave import Run, collector_paused
from quantize.measurement.timing.measure import session_run
from quantize.measurement.timing.plan import Plan
from quantize.processes.memory import peak_resident_bytes
from quantize.processes.parent import Parent

_SPIN_NS = 2_000_000


def run_instance(parent: Parent) -> None:
    """Serve one request of ``measure_instances``."""
    request = parent.receive()
    affinity = pin(request["cores"])
    plan = Plan.model_validate(request["plan"])
    openers = {}
    for name, files in request["contestants"].items():
        images = list(np.load(files["images"], mmap_mode="r"))
        openers[name] = partial(session_run, Path(files["model"]), images, plan)
    blocks = []
    for number, order in enumerate(request["rounds"]):
        runs = {name: openers[name]() for name in dict.fromkeys(order)}
        for run in runs.values():
            _warm_up(run, plan.warmup)
        with collector_paused():
            blocks += [
                _phase(parent, name, runs[name], number, position, request["phase_ns"], plan.switch_warmup)
                for position, name in enumerate(order)
            ]
    answer = {
        "affinity": affinity,
        "peak_bytes": peak_resident_bytes(),
        "blocks": [block.model_dump(mode="json") for block in blocks],
    }
    parent.send(answer)


def pin(cores: list[int]) -> list[int] | None:
    """Bind this process, and the threads that it will start, to cores.

    Returns:
        The cores that it may use now as the system tells it, or None if the system cannot pin.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
        return sorted(os.sched_getaffinity(0))
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        return None
    process.cpu_affinity(cores)
    return sorted(process.cpu_affinity() or ())


def _phase(parent: Parent, name: str, run: Run, number: int, position: int, phase_ns: int, warmup: int) -> Block:
    warmed = _warm_up(run, warmup)
    parent.send({"ready": name})
    start = int(parent.receive()["start_ns"])
    while (left := start - monotonic()) > 0:
        if left > _SPIN_NS:
            time.sleep((left - _SPIN_NS) / 1e9)
    durations: list[int] = []
    preempted: list[int] = []
    end = start + phase_ns
    switches = involuntary_switches()
    while not durations or monotonic() < end:
        before = monotonic()
        run(len(durations))
        durations.append(monotonic() - before)
        switches, last = involuntary_switches(), switches
        if switches != last:
            preempted.append(len(durations) - 1)
    return Block(
        contestant=name,
        round=number,
        position=position,
        start_ns=start,
        warmup_ns=tuple(warmed),
        runs_ns=tuple(durations),
        preempted=tuple(preempted),
    )


def _warm_up(run: Run, count: int) -> list[int]:
    durations = []
    for index in range(count):
        before = monotonic()
        run(index)
        durations.append(monotonic() - before)
    return durations
