"""Sweep four real models on three workers, one of which is killed, and compare the report with that of none killed.

    python benchmarks/sweeps.py --data_path VAL --label_path VAL.txt [--models ../shared/models] [--images 100]
        [--again]

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
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from own_folder import refuse_foreign
from sweeping.comparison import came_to, classes, written_at
from sweeping.inputs import MODELS, is_own, write_sweep
from sweeping.workers import joined, kill_after, kill_the_one_that_tunes, scheduler, swept, worker


def main() -> int:
    """Return 1 if a sweep came to something else than the first."""
    given = _arguments()
    folder = given.folder.absolute()
    judged = _Judged()
    if not given.again:
        refuse_foreign(folder, own=is_own(folder))
        shutil.rmtree(folder, ignore_errors=True)
        file = write_sweep(folder, given.models.resolve(), given.data_path, given.label_path, given.images)
        _on_this_machine(file, folder, judged)
        _one_lost_for_good(file, folder, judged)
    _once_more(folder / "sweep.yaml", folder, judged)
    print((folder / "lost" / "sweep.md").read_text(encoding="utf-8"))
    return 1 if judged.wrong else 0


class _Judged:
    """Says what is right, and counts what is not."""

    def __init__(self) -> None:
        self.wrong = 0

    def say(self, name: str, *, right: bool) -> None:
        self.wrong += not right
        print(f"{'right' if right else 'WRONG'}: {name}", flush=True)

    def same(self, code: int, output: Path) -> None:
        """Compare a sweep with the first one."""
        expected = output.parent / "here"
        report = json.loads((expected / "sweep.json").read_text(encoding="utf-8"))
        right = (code, came_to(output)) == (report["exit_code"], came_to(expected))
        self.say("the same exit code and the same report", right=right)


def _on_this_machine(file: Path, folder: Path, judged: _Judged) -> None:
    killed = folder / "killed"
    _timed("three processes of this machine", lambda: swept(file, folder / "here", "--workers", "3"))
    kill = partial(kill_the_one_that_tunes, begun=_begun(killed))
    code = _timed("the one that tunes is killed", lambda: swept(file, killed, "--workers", "3", kill=kill))
    judged.same(code, killed)


def _one_lost_for_good(file: Path, folder: Path, judged: _Judged) -> None:
    lost = folder / "lost"
    with _workers(folder) as (address, victim):
        code = _timed(
            "a scheduler, one that evaluates is killed",
            lambda: swept(file, lost, "--scheduler", address, kill=lambda _: kill_after(_begun(lost), victim)),
        )
    judged.same(code, lost)


def _once_more(file: Path, folder: Path, judged: _Judged) -> None:
    lost = folder / "lost"
    before, own = written_at(lost), classes(lost)
    with _workers(folder) as (address, _), worker(folder, address, "old", benchmark=True, held=True):
        joined(address, 4)
        code = _timed("once more, with a worker held to AVX2", lambda: swept(file, lost, "--scheduler", address))
    judged.same(code, lost)
    judged.say("nothing was done again", right=written_at(lost) == before)
    judged.say(f"a column for {', '.join(classes(lost))}", right=sorted({*own, "avx2"}) == classes(lost))


@contextmanager
def _workers(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yield the address of a scheduler with three workers, and the last of them, which evaluates."""
    with (
        scheduler(folder) as address,
        worker(folder, address, "bench", benchmark=True),
        worker(folder, address, "first"),
        worker(folder, address, "second") as last,
    ):
        joined(address, 3)
        yield address, last


def _begun(output: Path) -> Path:
    return output / list(MODELS)[1] / "trials.jsonl"


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
    parser.add_argument("--folder", type=Path, default=Path("runs/sweeps"), help="new, empty, or of an earlier call")
    parser.add_argument("--again", action="store_true", help="the last one alone, on what an earlier call left")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
