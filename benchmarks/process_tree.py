"""Run a command and watch its process tree: anonymous memory, disk, and what it tells meanwhile.

    python benchmarks/process_tree.py quantize tune …        prints the peak of every stage that the command told of

Anonymous memory is what counts: pages of mapped files belong to the system, which takes them back when others need
them. Pages that processes share are divided among them (`Pss_Anon` of `/proc/PID/smaps_rollup`), so that the sum over
the tree is what the tree takes. Linux only.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO

import psutil

_INTERVAL = 0.2


@dataclass
class Watched:
    """What was seen of a command.

    Attributes:
        returncode: Its exit code.
        seconds: How long it took, by the clock.
        processor: Core-seconds of the whole tree.
        others: Core-seconds of all other processes of the machine, and of machines beside it on the same cores.
        peak: Largest anonymous memory of the tree, in bytes.
        stages: The same by the line of stderr that was the last one at the time, its figures left out.
        gaps: Seconds between lines of stderr.
        lines: (seconds since the start, line) of stderr.
        output: Of stdout.
    """

    returncode: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    others: float = 0.0
    peak: int = 0
    stages: dict[str, int] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)
    output: str = ""


def watch(command: Sequence[str], *, echo: bool = False, apart: str | None = None) -> Watched:
    """Run a command to its end and return what was seen of it.

    Args:
        command: What to run.
        echo: Whether its stderr is passed on.
        apart: A child whose command line holds this is not counted, nor what it started.
    """
    seen, began = Watched(), time.monotonic()
    before, busy = _processor(), machine_seconds()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        readers = [
            threading.Thread(target=_follow, args=(process.stderr, seen, began, echo), daemon=True),
            threading.Thread(target=_collect, args=(process.stdout, seen), daemon=True),
        ]
        for reader in readers:
            reader.start()
        while process.poll() is None:
            stage = seen.lines[-1][1] if seen.lines else ""
            name = stage.partition(":")[0][:60]
            now = anonymous_bytes(process.pid, apart)
            seen.peak = max(seen.peak, now)
            seen.stages[name] = max(seen.stages.get(name, 0), now)
            time.sleep(_INTERVAL)
        for reader in readers:
            reader.join()
        seen.returncode = process.returncode
    seen.seconds, seen.processor = time.monotonic() - began, _processor() - before
    seen.others = max(machine_seconds() - busy - seen.processor, 0.0)
    times = [0.0, *(at for at, _ in seen.lines), seen.seconds]
    seen.gaps = [later - earlier for earlier, later in pairwise(times)]
    return seen


def anonymous_bytes(pid: int, apart: str | None = None) -> int:
    """Return the anonymous memory of a process and all that it started, in bytes."""
    try:
        process = psutil.Process(pid)
        if apart is not None and any(apart in part for part in process.cmdline()):
            return 0
        children = process.children()
    except psutil.Error:
        return 0
    own = [child.pid for child in children if not _shares_memory(pid, child.pid)]
    return _own(pid) + sum(anonymous_bytes(child, apart) for child in own)


def machine_seconds() -> float:
    """Return the core-seconds in which the machine's cores were not idle since it started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def _shares_memory(parent: int, child: int) -> bool:
    """Return whether a child still runs in its parent's memory, as between vfork and exec."""
    sizes = _sizes(parent)
    return bool(sizes) and sizes == _sizes(child)


def _sizes(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.startswith(("VmPeak", "VmHWM", "VmData"))]


def _own(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss_Anon:"))


def _processor() -> float:
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def _follow(stream: IO[str], seen: Watched, began: float, echo: bool) -> None:  # noqa: FBT001
    for line in stream:
        seen.lines.append((time.monotonic() - began, line.rstrip("\n")))
        if echo:
            print(line, end="", file=sys.stderr, flush=True)


def _collect(stream: IO[str], seen: Watched) -> None:
    seen.output = stream.read()


def main() -> None:
    """Watch the command of the command line."""
    seen = watch(sys.argv[1:], echo=True)
    print(seen.output)
    for stage, peak in seen.stages.items():
        print(f"{peak / 1e6:8.0f} MB  {stage}")
    print(f"peak {seen.peak / 1e6:.0f} MB, {seen.seconds:.0f} s, {seen.processor:.0f} core-seconds")
    print(f"longest silence on stderr {max(seen.gaps):.1f} s; exit code {seen.returncode}")
    sys.exit(seen.returncode)


if __name__ == "__main__":
    main()
