"""Measure what opening a model takes in the process that may die of it, beside what it may take.

    python benchmarks/scale.py open MODEL …

The process is watched while `prove` does there all that `tune` will do: its largest resident memory (``VmHWM``), which
is what it is stopped for, and its largest writable memory (``VmData``), which is what the kernel refuses it.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from measured_on import MeasuredOn, this_cpu

from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove

_INTERVAL = 0.01


@dataclass(frozen=True)
class Opened:
    """What opening one model took.

    Attributes:
        model: Its file's name.
        model_bytes: Its size.
        cpu: What it was measured on.
        bound: Memory that it may take, in bytes.
        resident: Its largest resident memory, in bytes.
        writable: Its largest writable memory, in bytes.
        seconds: How long it took by the clock.
    """

    model: str
    model_bytes: int
    cpu: MeasuredOn
    bound: int
    resident: int = 0
    writable: int = 0
    seconds: float = 0.0


def opened(path: Path) -> Opened:
    """Open a model as `tune` does before anything else, and return what that took."""
    size = path.stat().st_size
    seen, ended = Opened(path.name, size, this_cpu(), Bounds().memory_for(size)), threading.Event()
    sizes: list[tuple[int, int]] = [(0, 0)]
    watcher = threading.Thread(target=_watch, args=(sizes, ended))
    watcher.start()
    began = time.monotonic()
    try:
        prove(path, prepares=True)
    finally:
        seconds = time.monotonic() - began
        ended.set()
        watcher.join()
    residents, writables = zip(*sizes, strict=True)
    return replace(seen, resident=max(residents), writable=max(writables), seconds=seconds)


def _watch(sizes: list[tuple[int, int]], ended: threading.Event) -> None:
    own = psutil.Process(os.getpid())
    while not ended.wait(_INTERVAL):
        # The server of forks has one child at a time: the fork that opens the model.
        for server in own.children():
            try:
                sizes += [_of(fork.pid) for fork in server.children()]
            except psutil.Error:
                continue


def _of(pid: int) -> tuple[int, int]:
    """Return (largest resident memory so far, writable memory now) of a process, in bytes; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace").splitlines()
    except OSError:
        return 0, 0
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmHWM", "VmData"))}
    return 1024 * kilobytes.get("VmHWM", 0), 1024 * kilobytes.get("VmData", 0)
