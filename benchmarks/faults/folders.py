"""Folders of runs that go away, that two runs want, or that lie elsewhere when a run goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.experiments import Frame, killed
from faults.moments import MOMENTS, once
from faults.processes import Command, Done, Experiment, drive
from faults.workload import everything, journaled, outcome


def folder_experiments(frame: Frame) -> Iterator[Experiment]:
    """Yield what is done to the folder of a run."""
    for moment in MOMENTS:
        here = frame.place()
        act = once(here / "run", moment, _removing(here / "run"))
        yield frame.broken("output folder removed meanwhile", here, meanwhile=act, between=_without_run)
    for name, what in (("tmp", "TMPDIR"), ("cache", "cache")):
        for moment in (MOMENTS[0], MOMENTS[2], MOMENTS[4]):
            here = frame.place()
            act = once(here / "run", moment, _removing(here / name))
            yield frame.broken(f"{what} removed meanwhile", here, meanwhile=act)
    for moment in MOMENTS[:5]:
        for overwrite in (False, True):
            yield _two_at_once(frame, moment, overwrite=overwrite)
    for after in (0.3, 0.5, 0.7, 0.9):
        yield _moved(frame, after)


def _removing(folder: Path) -> Callable[[int], None]:
    return lambda _: shutil.rmtree(folder, ignore_errors=True)


def _without_run(place: Path) -> None:
    shutil.rmtree(place / "run", ignore_errors=True)


def _two_at_once(frame: Frame, moment: str, *, overwrite: bool) -> Experiment:
    """Yield a run in whose folder a second one is started; the first must not notice, the second is told of it."""
    work, place = frame.work, frame.place()
    shutil.rmtree(place, ignore_errors=True)
    said: list[str] = []

    def second(pid: int) -> None:
        ended: list[Done] = []

        def runs() -> Experiment:
            words = (*work.tune(place), *(["--overwrite"] if overwrite else []))
            ended.append((yield Command(words, place / "second", work.environment(place))))

        drive([runs()], 1)  # however long it takes, the first is held
        done = ended[0]
        told = done.code == 2 and f"process {pid} on" in done.errors and "Traceback" not in done.errors
        said.append("" if told else f"WRONG: the second was not told: {done.code}: {done.errors[-2000:]}")

    first = yield work.command(place, meanwhile=once(place / "run", moment, second))
    if not said:  # the first ended while another experiment was looked after
        shutil.rmtree(place, ignore_errors=True)
        return
    right = first.code in (0, 1, 3) and outcome(place / "run") == frame.expected and said == [""]
    came_to = "the first gives its result, the second is told who holds the folder"
    row = f"two runs at once{', the second with --overwrite' if overwrite else ''}"
    frame.table.add(row, came_to if right else f"WRONG: exit code {first.code}", f"{said} {first.errors[-2000:]}")
    shutil.rmtree(place, ignore_errors=True)


def _moved(frame: Frame, after: float) -> Experiment:
    """Yield a run that is killed, moved, and gone on with where it lies then."""
    work, place = frame.work, frame.place()
    shutil.rmtree(place, ignore_errors=True)
    yield from killed(work, place, after)
    moved = place / "moved"
    moved.mkdir()
    if (place / "run").is_dir():
        (place / "run").rename(moved / "run")
    kept, there = journaled(moved / "run"), everything(place)
    done = yield work.going_on(moved)
    right = done.code in (0, 1, 3) and outcome(moved / "run") == frame.expected
    right = right and journaled(moved / "run").startswith(kept) and not (place / "run").exists()
    frame.table.add(
        "killed, moved, and gone on with there",
        "the result of an unbroken run, with every finished step" if right else f"WRONG: exit code {done.code}",
        f"{len(there)} files, {done.errors[-2000:]}",
    )
    shutil.rmtree(place, ignore_errors=True)
