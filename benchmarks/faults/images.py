"""Images that disappear or change: while a run is at work, and before one that was broken off is gone on with."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from faults.experiments import Frame, broken
from faults.moments import once
from faults.processes import Experiment
from faults.workload import journaled, outcome

Change = Callable[[Path], None]
"""What is done to the folder of images."""


def image_experiments(frame: Frame) -> Iterator[Experiment]:
    """Yield every change of the images at each moment: before they are read, and after."""
    changes: dict[str, Change] = {
        "an image disappears": lambda images: _some(images).unlink(),
        "all images disappear": shutil.rmtree,
        "an image is cut to half": _cut,
        "an image becomes another one": _exchanged,
    }
    for fault, change in changes.items():
        for moment in ("work/fp32.onnx", "work/evaluation.scores", "trials.jsonl", "report.md"):
            if change is not _exchanged or moment != "work/fp32.onnx":  # else that one is what the run is about
                yield _meanwhile(frame, f"{fault} meanwhile", change, moment)
        yield _between(frame, f"killed, {fault}, and gone on with", change)


def _some(images: Path) -> Path:
    return images / "image050.png"


def _cut(images: Path) -> None:
    content = _some(images).read_bytes()
    _some(images).write_bytes(content[: len(content) // 2])


def _exchanged(images: Path) -> None:
    shutil.copy(images / "image051.png", _some(images))


def _kill(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)


def _copied(frame: Frame, place: Path) -> None:
    shutil.rmtree(place / "val", ignore_errors=True)
    shutil.copytree(frame.work.folder / "val", place / "val")


def _meanwhile(frame: Frame, fault: str, change: Change, moment: str) -> Experiment:
    """Yield a run whose images change at a moment, and are put back before it is gone on with."""
    here = frame.place()
    work = replace(frame.work, images=here / "val")
    act = once(here / "run", moment, lambda _: change(here / "val"))

    def put(place: Path) -> None:
        _copied(frame, place)

    return broken(frame.table, fault, work, here, frame.expected, before=put, between=put, meanwhile=act)


def _between(frame: Frame, fault: str, change: Change) -> Experiment:
    """Yield a run that is killed, gone on with on changed images, and then on its own: it must never mix them."""
    here = frame.place()
    work = replace(frame.work, images=here / "val")
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    _copied(frame, here)
    yield work.command(here, meanwhile=once(here / "run", "work/candidates", _kill))
    kept = journaled(here / "run")
    change(here / "val")
    second = yield work.going_on(here)
    same = second.code in (0, 1, 3) and outcome(here / "run") == frame.expected
    told = second.code == 2 and "error: " in second.errors and "Traceback" not in second.errors
    came_to = "the result of an unbroken run" if same else "a clear error" if told else f"WRONG: exit {second.code}"
    detail = f"{here}: {second.errors[-3000:]}"
    if told:
        _copied(frame, here)
        third = yield work.going_on(here)
        right = third.code in (0, 1, 3) and outcome(here / "run") == frame.expected
        right = right and journaled(here / "run").startswith(kept)
        gone_on = "going on with the images put back gives the unbroken run's result"
        came_to = f"{came_to}; {gone_on}" if right else f"WRONG: {came_to}, and going on ended with {third.code}"
        detail += f"\n---\n{third.errors[-3000:]}"
    frame.table.add(fault, came_to, detail)
    if not came_to.startswith("WRONG"):
        shutil.rmtree(here, ignore_errors=True)
