"""Processes of a sweep: the command itself, schedulers and workers on loopback, and ways to kill a worker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from distributed import Client

_QUANTIZE = [sys.executable, "-m", "quantize", "sweep"]
_DASK = [sys.executable, "-m", "dask"]
_HELD = [sys.executable, str(Path(__file__).parents[1] / "held_to_avx2")]
_LOOK_SECONDS = 0.2

Kill = Callable[[], bool]
"""Looks for the moment, and returns whether it has killed."""


def swept(file: Path, output: Path, *words: str, kill: Callable[[int], Kill] | None = None) -> tuple[int, str]:
    """Run a sweep; return its exit code and what it said.

    Args:
        file: Its settings.
        output: Its folder.
        words: More flags.
        kill: Given the process's id, returns what is asked again and again until it has killed a worker.

    Raises:
        RuntimeError: It ended before anything was killed.
    """
    command = [*_QUANTIZE, str(file), "--output", str(output), *words]
    log = output.with_suffix(".log")
    with log.open("w") as stream, subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT) as process:
        look = None if kill is None else kill(process.pid)
        while look is not None and process.poll() is None:
            if look():
                look = None
            time.sleep(_LOOK_SECONDS)
        code = process.wait()
    if look is not None:
        raise RuntimeError(f"{output.name} ended with {code} before a worker was killed: see {log}")
    return code, log.read_text(errors="replace")


def kill_the_one_that_tunes(pid: int, begun: Path) -> Kill:
    """Return what kills the process of this machine that tunes, its run too, as soon as a path is there."""

    def look() -> bool:
        if not begun.exists():
            return False
        for worker in psutil.Process(pid).children():
            with suppress(psutil.Error):
                runs = worker.children()
                if "spawn_main" in " ".join(worker.cmdline()) and runs:  # only that one has processes of its own
                    worker.kill()
                    print(f"killed the worker that tunes, process {worker.pid}", flush=True)
                    return True
        return False

    return look


def kill_after(begun: Path, worker: subprocess.Popen[bytes]) -> Kill:
    """Return what kills a worker as soon as a path is there."""

    def look() -> bool:
        if not begun.exists():
            return False
        worker.send_signal(signal.SIGKILL)
        print(f"killed the worker with process {worker.pid}", flush=True)
        return True

    return look


@contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """Yield the address of a `dask scheduler` on loopback."""
    found = folder / "scheduler.json"
    found.unlink(missing_ok=True)
    words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(found)]
    with _process([*_DASK, *words], folder / "scheduler.log") as process:
        while not found.is_file():
            if process.poll() is not None:
                raise RuntimeError(f"the scheduler ended: see {folder / 'scheduler.log'}")
            time.sleep(_LOOK_SECONDS)
        yield str(json.loads(found.read_text())["address"])


@contextmanager
def worker(
    folder: Path, address: str, name: str, *, benchmark: bool = False, held: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a `dask worker`; held: its onnxruntime takes the kernels of a CPU with AVX2 alone."""
    words = ["worker", address, "--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    words += ["--host", "127.0.0.1", "--local-directory", str(folder / "dask")]
    words += ["--resources", "benchmark=1"] if benchmark else []
    with _process([*(_HELD if held else []), *_DASK, *words], folder / f"worker-{name}.log") as process:
        yield process


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    python = [sys.executable, *command] if command[0] != sys.executable else command
    with log.open("w") as stream, subprocess.Popen(python, stdout=stream, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def joined(address: str, workers: int) -> None:
    """Wait until a scheduler has so many workers."""
    with Client(address, timeout="300s", set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=300)
