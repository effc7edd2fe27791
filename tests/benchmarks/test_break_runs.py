"""What refuses calls of the system in `benchmarks/break_runs.py`, and how it judges what came of it."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from faults.anew import AfterImport
from faults.experiments import Table, at_sites, broken, sites_of
from faults.gains import MEASURING, fix_gains
from faults.moments import once
from faults.page import page, written_by_hand
from faults.processes import Command, Done, Experiment, drive
from faults.recorded import RecordedTable
from faults.workload import Workload

_SOURCE = Path(__file__).parents[2] / "benchmarks" / "faults" / "refuse_calls.c"
_WRITE = """
import os, sys
with open(sys.argv[1] + "/a", "w") as stream:
    stream.write("x")
    stream.flush()
    os.fsync(stream)
os.rename(stream.name, sys.argv[1] + "/b")
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that refuses calls."""
    if shutil.which("cc") is None or sys.platform != "linux":
        pytest.skip("no C compiler")
    path = tmp_path_factory.mktemp("library") / "refuse_calls.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(path), str(_SOURCE), "-ldl"], check=True)
    return path


def written(folder: Path, library: Path, **refused: str) -> subprocess.CompletedProcess[str]:
    """Run a small program that opens, writes, syncs and renames, some of which is refused."""
    (folder / "out").mkdir(exist_ok=True)
    (folder / "count").write_bytes(bytes(8))
    (folder / "calls.txt").write_bytes(b"")
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "FAULTS_WATCH": str(folder / "out"),
        "FAULTS_COUNT": str(folder / "count"),
        "FAULTS_LOG": str(folder / "calls.txt"),
        **{f"FAULTS_{name.upper()}": value for name, value in refused.items()},
    }
    command = [sys.executable, "-c", _WRITE, str(folder / "out")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_call_that_writes_is_seen_and_the_one_that_is_named_is_refused(tmp_path: Path, library: Path) -> None:
    assert written(tmp_path, library).returncode == 0
    sites = sites_of(tmp_path / "calls.txt", tmp_path)
    assert [site.function for site in sites] == ["open", "write", "sync", "rename"]
    for _, refusal in at_sites(sites):
        assert refusal.function is not None
        assert refusal.pattern is not None
        done = written(
            tmp_path, library, at="0", errno=str(refusal.error), function=refusal.function, pattern=refusal.pattern
        )
        assert os.strerror(errno.EIO if refusal.function == "sync" else errno.ENOSPC) in done.stderr


def test_the_page_counts_outcomes_and_does_not_hide_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table()
    for came_to in ("a clear error", "a clear error", "the result of an unbroken run"):
        table.add("a disk that is full", came_to)
    assert "| a disk that is full | 3 | 2 a clear error; 1 the result of an unbroken run |" in page(
        table, {"ort": table.total}, [], 1, 1
    )
    assert "3 faults; all came to what they should" in page(table, {"ort": table.total}, [], 1, 1)
    table.add("a disk that is full", "WRONG: exit code 70", "where")
    assert "4 faults; 1 came to something else" in page(table, {"ort": table.total}, [], 1, 1)
    assert "Not all is done yet of: ort: places." in page(table, {"ort": 4}, ["ort: places"], 1, 1)
    assert "WRONG: exit code 70: where" in capsys.readouterr().out


def test_a_table_that_is_recorded_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    def experiment(table: Table, number: int) -> Experiment:
        done = yield Command((f"{number}",), tmp_path)
        table.add(f"fault {number}", done.output)

    def came_to(outcome: str, *, experiments: int) -> tuple[list[str], Table]:
        whole, asked = Table(), []
        recorded = RecordedTable(tmp_path / "done.jsonl", whole)
        for each in recorded.missing((number, experiment(recorded, number)) for number in range(experiments)):
            asked.append(next(each).words[0])
            with pytest.raises(StopIteration):
                each.send(Done(0, outcome, "", 0.0))
        assert not recorded.is_whole
        return asked, whole

    assert came_to("first", experiments=2)[0] == ["0", "1"]
    asked, whole = came_to("second", experiments=3)
    assert asked == ["2"]
    assert {fault: dict(outcomes) for fault, outcomes in whole.rows.items()} == {
        "fault 0": {"first": 1},
        "fault 1": {"first": 1},
        "fault 2": {"second": 1},
    }
    recorded = RecordedTable(tmp_path / "done.jsonl", Table())
    recorded.end()
    assert RecordedTable(tmp_path / "done.jsonl", Table()).is_whole


def killed_at(seconds: float, folder: Path) -> tuple[list[float], Table]:
    """Return when a run that ends after some seconds is killed, each time that it is begun, and what is said of it."""
    (folder / "in" / "cache").mkdir(parents=True)
    table, moments = Table(), list[float]()
    work = Workload(folder / "in", "ort")
    experiment = broken(table, "killed", work, folder / "out", (), resumed=False, codes=(-9,), kill_after=4.0)
    with suppress(StopIteration):
        command = next(experiment)
        while command.kill_after is not None:
            moments.append(command.kill_after)
            struck = command.kill_after < seconds
            command = experiment.send(Done(-9 if struck else 0, "", "", seconds, struck))
    return moments, table


def test_a_run_that_ended_before_it_was_killed_is_done_again_and_killed_sooner(tmp_path: Path) -> None:
    moments, table = killed_at(2.0, tmp_path)
    assert moments == pytest.approx([4.0, 2.8, 1.96])
    assert {fault: dict(outcomes) for fault, outcomes in table.rows.items()} == {"killed": {"ended": 1}}


def test_a_run_that_nothing_ever_happened_to_is_no_outcome_that_is_right(tmp_path: Path) -> None:
    _, table = killed_at(0.0, tmp_path)
    assert table.wrong[0].startswith("killed: WRONG: nothing happened to it")


def test_what_was_written_below_the_table_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "faults.md"
    assert written_by_hand(path) == ""
    made = page(Table(), {"ort": 0}, [], 1, 1)
    path.write_text(made)
    assert written_by_hand(path) == ""
    path.write_text(f"{made}\n## Found by it\n\nFour faults.\n")
    assert f"{made}{written_by_hand(path)}" == path.read_text()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that sleeps until it is ended."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def test_a_run_is_held_while_something_happens_to_it_and_is_left_alone_once_it_is_whole(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    states: list[str] = []
    look = once(tmp_path, "trials.jsonl", lambda pid: states.append(psutil.Process(pid).status()))
    assert not look(sleeper.pid)
    (tmp_path / "trials.jsonl").touch()
    (tmp_path / "report.json").touch()
    assert not look(sleeper.pid)
    assert states == []
    (tmp_path / "report.json").unlink()
    assert look(sleeper.pid)
    assert states == [psutil.STATUS_STOPPED]
    assert psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED


def test_nothing_happens_to_a_run_that_has_ended_by_itself(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    (tmp_path / "trials.jsonl").touch()
    sleeper.kill()
    assert not once(tmp_path, "trials.jsonl", lambda _: pytest.fail("it had ended"))(sleeper.pid)


def test_a_process_that_is_killed_before_it_has_begun_has_said_nothing(tmp_path: Path) -> None:
    ended: list[Done] = []

    def killed() -> Experiment:
        ended.append((yield Command(("--version",), tmp_path / "place", kill_after=-1.0)))

    drive([killed()], 1)
    assert (ended[0].code, ended[0].output, ended[0].errors) == (-signal.SIGKILL, "", "")


def test_a_process_begun_anew_rests_no_decision_on_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "first_loaded.py").write_text("name = 'first'")
    (tmp_path / "then_loaded.py").write_text("name = 'then'")
    seen: list[str] = []
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [AfterImport("then_loaded", lambda it: seen.append(it.name)), *sys.meta_path])
    importlib.import_module("first_loaded")
    assert seen == []
    importlib.import_module("then_loaded")
    assert seen == ["then"]
    rewriting = ModuleType("another")
    with pytest.raises(AttributeError):
        fix_gains(rewriting)
    vars(rewriting).update(vars(importlib.import_module(MEASURING)))
    fix_gains(rewriting)
    assert vars(rewriting)["_measured"]().ratio == 1.0
