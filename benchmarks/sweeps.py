"""Sweep four real models on three workers, one of which is killed, and compare the report with that of none killed.

    python benchmarks/sweeps.py --data_path VAL --label_path VAL.txt [--models ../shared/models] [--images 100]

Four sweeps of the same file, each by `quantize sweep` in a process of its own:

1. on three processes of this machine;
2. the same, and the worker that tunes is killed (SIGKILL) while it tunes the second model;
3. on a `dask scheduler` with three `dask worker` processes on loopback, and one that evaluates is killed for good;
4. the third once more: nothing is tuned again, and a worker that is held to AVX2 (`benchmarks/held_to_avx2`) adds the
   column of another class of CPUs.

All reports have to be the same, but for times, workers and columns. Exits with 1 if anything is not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from sweeping.comparison import came_to, classes, written_at
from sweeping.inputs import MODELS, write_sweep
from sweeping.workers import joined, kill_after, kill_the_one_that_tunes, scheduler, swept, worker


def main() -> int:
    """Return 1 if a sweep came to something else than the first."""
    given = _arguments()
    folder = given.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    file = write_sweep(folder, given.models.resolve(), given.data_path, given.label_path, given.images)
    second = list(MODELS)[1]
    wrong = 0

    def judge(name: str, *, right: bool) -> None:
        nonlocal wrong
        wrong += not right
        print(f"{'right' if right else 'WRONG'}: {name}", flush=True)

    here, killed, lost = folder / "here", folder / "killed", folder / "lost"
    code = _timed("three processes of this machine", lambda: swept(file, here, "--workers", "3"))
    expected = came_to(here)

    def begun(output: Path) -> Path:
        return output / second / "trials.jsonl"

    kill = partial(kill_the_one_that_tunes, begun=begun(killed))
    other = _timed("the one that tunes is killed", lambda: swept(file, killed, "--workers", "3", kill=kill))
    judge("the same exit code and the same report", right=(other, came_to(killed)) == (code, expected))

    with ExitStack() as stack:
        address = stack.enter_context(scheduler(folder))
        stack.enter_context(worker(folder, address, "bench", benchmark=True))
        stack.enter_context(worker(folder, address, "first"))
        victim = stack.enter_context(worker(folder, address, "second"))
        words = ("--scheduler", address)
        other = _timed(
            "a scheduler, one that evaluates is killed",
            lambda: swept(file, lost, *words, kill=lambda _: kill_after(begun(lost), victim)),
        )
        judge("the same exit code and the same report", right=(other, came_to(lost)) == (code, expected))

        before, own = written_at(lost), classes(lost)
        stack.enter_context(worker(folder, address, "old", benchmark=True, held=True))
        joined(address, 3)
        other = _timed("once more, with a worker held to AVX2", lambda: swept(file, lost, *words))
        judge("the same exit code and the same report", right=(other, came_to(lost)) == (code, expected))
        judge("nothing was done again", right=written_at(lost) == before)
        judge(f"a column for {', '.join(classes(lost))}", right=sorted({*own, "avx2"}) == classes(lost))
    print((lost / "sweep.md").read_text(encoding="utf-8"))
    return 1 if wrong else 0


def _timed(name: str, sweep: Callable[[], tuple[int, str]]) -> int:
    began = time.monotonic()
    code, _ = sweep()
    print(f"{name}: exit code {code}, {time.monotonic() - began:.0f} s", flush=True)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--label_path", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("../shared/models"))
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path("runs/sweeps"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
