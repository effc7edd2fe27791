from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quantize.processes.child import ChildError
from quantize.processes.pool import map_in_children


def process_exists(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(") ", 1)[1][0] != "Z"


@pytest.mark.parametrize("workers", [1, 2])
def test_every_chunk_is_answered_once(workers: int) -> None:
    assert sorted(map_in_children(str.upper, (f"c{number:02d}" for number in range(50)), workers)) == [
        f"C{number:02d}" for number in range(50)
    ]


def test_chunks_are_taken_only_as_workers_become_free() -> None:
    taken = []

    def chunks() -> Iterator[str]:
        for number in range(100):
            taken.append(number)
            yield str(number)

    results = map_in_children(len, chunks(), 2)
    for done in range(1, 20):
        next(results)
        assert len(taken) <= done + 3
    results.close()  # type: ignore[attr-defined]


def test_an_error_in_a_worker_is_raised_here() -> None:
    with pytest.raises(FileNotFoundError, match="no/such"):
        list(map_in_children(os.stat, ["no/such"], 2))


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(ChildError, match="exit code 7") as caught:
        list(map_in_children(os._exit, [7], 2))
    assert caught.value.exit_code == 7


def test_what_a_task_prints_does_not_come_between_the_answers(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(map_in_children(os.system, ["echo hello"], 2)) == [0]
    assert capfd.readouterr().out == ""


SCRIPT = """
    import os, sys, time
    from quantize.processes.pool import map_in_children
    def chunks():
        yield "echo $PPID"
        while True:
            yield "sleep 0.05"
    # No `if __name__ == "__main__":` on purpose: a script of a user's own has none.
    for _ in map_in_children(os.system, chunks(), 2):
        print("answer", flush=True)
"""


def started(tmp_path: Path) -> tuple[subprocess.Popen[str], list[int]]:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "answer\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    return process, [int(pid) for pid in children]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_caller(tmp_path: Path, ending: signal.Signals) -> None:
    process, workers = started(tmp_path)
    os.killpg(process.pid, ending)
    _, errors = process.communicate(timeout=20)
    for _ in range(400):
        if not any(process_exists(pid) for pid in workers):
            break
        time.sleep(0.05)
    assert not any(process_exists(pid) for pid in workers)
    assert errors.count("Traceback") == (1 if ending == signal.SIGINT else 0)
