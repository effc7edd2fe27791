"""Faults of what surrounds a run: its folders, its limits, its images, the clock, its child processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from faults.damage import damage_experiments
from faults.disks import disk_experiments
from faults.experiments import Frame
from faults.folders import folder_experiments
from faults.images import image_experiments
from faults.processes import Experiment
from faults.workload import MEMORY


def place_experiments(frame: Frame) -> Iterator[Experiment]:
    """Yield every experiment on places and limits."""
    yield from disk_experiments(frame)
    yield from folder_experiments(frame)
    yield from image_experiments(frame)
    for most in (16, 32, 48, 64, 80):
        yield frame.broken("few file handles (16 to 80)", limits={"RLIMIT_NOFILE": most})
    for most in (5_000, 20_000, 200_000):
        yield frame.broken("limit on the size of files (5 to 200 kB)", limits={"RLIMIT_FSIZE": most})
    yield frame.broken("600 MB of address space", limits={"RLIMIT_AS": 600 * 10**6})
    for home in ("", "/proc/nowhere", "/nowhere"):
        none = {"HOME": home, "QUANTIZE_CACHE": "", "XDG_CACHE_HOME": ""}
        yield frame.broken("no HOME, or one that cannot be written to", environment=none)
    yield frame.broken("QUANTIZE_CACHE=~nouser", environment={"QUANTIZE_CACHE": "~nouser"})
    for seconds in ("86400", "-86400", "31536000"):
        yield frame.broken("the clock jumps to and fro by a day or a year", environment={"FAULTS_CLOCK": seconds})
    for moment in ("trials.jsonl", "colours-13-int8.onnx"):
        here = frame.place()
        act = _kill_children_after(here / "run" / moment)
        yield frame.broken("child processes killed", here, meanwhile=act, environment={MEMORY: "1"})
    yield from damage_experiments(frame)


def _kill_children_after(path: Path) -> Callable[[int], bool]:
    """Return what kills the first child process, as the kernel does, once a path is there."""

    def look(pid: int) -> bool:
        if not path.exists():
            return False
        killed = False
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                child.send_signal(signal.SIGKILL)
                killed = True
        return killed

    return look
