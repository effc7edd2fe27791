"""Faults of the places that a run writes to, and of its limits: full disks, folders that go away, two runs at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from faults.experiments import Act, Table, broken
from faults.processes import Done, Experiment
from faults.workload import MEMORY, Workload, everything, journaled, outcome

_DISK = "8m"
_MOMENTS = (
    "work/fp32.onnx",
    "work/evaluation.scores",
    "trials.jsonl",
    "work/candidates",
    "colours-13-int8.onnx",
    "report.md",
)
"""What a run writes first, later and last: a fault waits for it."""
_HALF, _EMPTY, _FOREIGN = "cut to half", "emptied", "of another version"


def place_experiments(
    table: Table, work: Workload, place: Callable[[], Path], expected: tuple[object, ...]
) -> Iterator[Experiment]:
    """Yield every experiment on places and limits."""

    def run(fault: str, **how: Any) -> Experiment:
        return broken(table, fault, work, place(), expected, **how)

    for name, what in (("run", "output"), ("tmp", "TMPDIR"), ("cache", "cache")):
        if _can_mount():
            disk: dict[str, Any] = {"before": _mounted(name), "between": _emptied(name), "after": _unmounted(name)}
            yield run(f"disk of {what} full before", **{**disk, "before": _mounted(name, full=True)})
            for moment in _MOMENTS if name == "run" else _MOMENTS[2:4]:
                here = place()
                act = _once(here / "run" / moment, _filling(here / name))
                fault = f"disk of {what} full from some moment on"
                yield broken(table, fault, work, here, expected, meanwhile=act, **disk)
            yield run(f"{what} read-only", **{**disk, "before": _mounted(name, options="ro")})
    for moment in _MOMENTS:
        here = place()
        act = _once(here / "run" / moment, _removing(here / "run"))
        yield broken(
            table, "output folder removed meanwhile", work, here, expected, meanwhile=act, between=_without_run
        )
    for most in (16, 32, 48, 64, 80):
        yield run("few file handles (16 to 80)", limits={"RLIMIT_NOFILE": most})
    for most in (5_000, 20_000, 200_000):
        yield run("limit on the size of files (5 to 200 kB)", limits={"RLIMIT_FSIZE": most})
    yield run("600 MB of address space", limits={"RLIMIT_AS": 600 * 10**6})
    for home in ("", "/proc/nowhere", "/nowhere"):
        none = {"HOME": home, "QUANTIZE_CACHE": "", "XDG_CACHE_HOME": ""}
        yield run("no HOME, or one that cannot be written to", environment=none)
    yield run("QUANTIZE_CACHE=~nouser", environment={"QUANTIZE_CACHE": "~nouser"})
    for seconds in ("86400", "-86400", "31536000"):
        yield run("the clock jumps to and fro by a day or a year", environment={"FAULTS_CLOCK": seconds})
    for moment in ("trials.jsonl", "colours-13-int8.onnx"):
        here = place()
        yield broken(
            table,
            "child processes killed",
            work,
            here,
            expected,
            meanwhile=_kill_children_after(here / "run" / moment),
            environment={MEMORY: "1"},
        )
    for moment in _MOMENTS[:5]:
        for overwrite in (False, True):
            yield _two_at_once(table, work, place(), expected, moment, overwrite=overwrite)
    for after in (0.3, 0.5, 0.7, 0.9):
        yield _moved(table, work, place(), expected, after)
    yield from _damaged(table, work, place, expected)


def _can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


def _mounted(name: str, *, full: bool = False, options: str = "rw") -> Act:
    def mount(place: Path) -> None:
        folder = place / name
        kept = folder.with_name(f"{name}-kept")
        if folder.is_dir():
            folder.rename(kept)
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)], check=True)
        if kept.is_dir():
            shutil.copytree(kept, folder, dirs_exist_ok=True)
        if full:
            _fill(folder)
        if options == "ro":
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)

    return mount


def _fill(folder: Path) -> None:
    with suppress(OSError), (folder / "ballast").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


def _emptied(name: str) -> Act:
    def empty(place: Path) -> None:
        subprocess.run(["mount", "-o", "remount,rw", str(place / name)], check=True)
        (place / name / "ballast").unlink(missing_ok=True)

    return empty


def _unmounted(name: str) -> Act:
    def unmount(place: Path) -> None:
        subprocess.run(["umount", "-l", str(place / name)], check=True)

    return unmount


def _filling(folder: Path) -> Callable[[int], None]:
    return lambda _: _fill(folder)


def _removing(folder: Path) -> Callable[[int], None]:
    return lambda _: shutil.rmtree(folder, ignore_errors=True)


def _without_run(place: Path) -> None:
    shutil.rmtree(place / "run", ignore_errors=True)


def _once(path: Path, act: Callable[[int], None]) -> Callable[[int], bool]:
    """Return what acts, with the process's id, as soon as a path is there."""

    def look(pid: int) -> bool:
        if not path.exists():
            return False
        act(pid)
        return True

    return look


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


def _two_at_once(
    table: Table, work: Workload, place: Path, expected: tuple[object, ...], moment: str, *, overwrite: bool
) -> Experiment:
    """Yield a run in whose folder a second one is started; the first must not notice, the second is told of it."""
    shutil.rmtree(place, ignore_errors=True)
    said: list[str] = []

    def second(pid: int) -> None:
        from faults.processes import Command, drive

        ended: list[Done] = []

        def runs() -> Experiment:
            words = (*work.tune(place), *(["--overwrite"] if overwrite else []))
            ended.append((yield Command(words, place / "second", work.environment(place))))

        os.kill(pid, signal.SIGSTOP)  # however long the second takes, the first is still at work
        drive([runs()], 1)
        os.kill(pid, signal.SIGCONT)
        done = ended[0]
        told = done.code == 2 and f"process {pid} on" in done.errors and "Traceback" not in done.errors
        said.append("" if told else f"WRONG: the second was not told: {done.code}: {done.errors[-2000:]}")

    first = yield work.command(place, meanwhile=_once(place / "run" / moment, second))
    if not said:  # the first ended while another experiment was looked after
        shutil.rmtree(place, ignore_errors=True)
        return
    right = first.code in (0, 1, 3) and outcome(place / "run") == expected and said == [""]
    came_to = "the first gives its result, the second is told who holds the folder"
    row = f"two runs at once{', the second with --overwrite' if overwrite else ''}"
    table.add(row, came_to if right else f"WRONG: exit code {first.code}", f"{said} {first.errors[-2000:]}")
    shutil.rmtree(place, ignore_errors=True)


def _moved(table: Table, work: Workload, place: Path, expected: tuple[object, ...], after: float) -> Experiment:
    """Yield a run that is killed, moved, and gone on with where it lies then."""
    shutil.rmtree(place, ignore_errors=True)
    seconds = work.seconds * after
    yield work.command(place, kill_after=seconds)
    moved = place / "moved"
    moved.mkdir()
    if (place / "run").is_dir():
        (place / "run").rename(moved / "run")
    kept, there = journaled(moved / "run"), everything(place)
    done = yield work.going_on(moved)
    right = done.code in (0, 1, 3) and outcome(moved / "run") == expected
    right = right and journaled(moved / "run").startswith(kept) and not (place / "run").exists()
    table.add(
        "killed, moved, and gone on with there",
        "the result of an unbroken run, with every finished step" if right else f"WRONG: exit code {done.code}",
        f"{len(there)} files, {done.errors[-2000:]}",
    )
    shutil.rmtree(place, ignore_errors=True)


def _damaged(
    table: Table, work: Workload, place: Callable[[], Path], expected: tuple[object, ...]
) -> Iterator[Experiment]:
    """Yield runs that go on with a work folder, or a cache, of which a file is damaged."""
    whole = work.whole

    files = [path for name in ("run/work", "cache") for path in sorted((whole / name).rglob("*")) if path.is_file()]
    for file in files:
        for how in (_HALF, _EMPTY, _FOREIGN):
            yield _with_damage(table, work, place(), expected, file.relative_to(whole), how)


def _with_damage(
    table: Table, work: Workload, place: Path, expected: tuple[object, ...], file: Path, how: str
) -> Experiment:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("run", "cache"):
        shutil.copytree(work.whole / name, place / name)
    (place / "run" / "report.json").unlink()
    content = (place / file).read_bytes()
    damaged: Mapping[str, bytes] = {
        _HALF: content[: len(content) // 2],
        _EMPTY: b"",
        _FOREIGN: b'{"version": 99}\n' * 9,
    }
    (place / file).write_bytes(damaged[how])
    kept = journaled(place / "run")
    done = yield work.going_on(place)
    right = done.code in (0, 1, 3) and outcome(place / "run") == expected and "Traceback" not in done.errors
    right = right and journaled(place / "run").startswith(kept)
    came_to = "the result of an unbroken run" if right else f"WRONG: exit code {done.code}"
    table.add(f"a file of the work folder or the cache {how}", came_to, f"{file} {done.errors[-2000:]}")
    shutil.rmtree(place, ignore_errors=True)
