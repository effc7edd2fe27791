"""Runs that go on with a work folder, or a cache, of which a file is damaged or of another version."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from faults.experiments import Frame
from faults.processes import Experiment
from faults.workload import journaled, outcome

_HALF, _EMPTY, _FOREIGN = "cut to half", "emptied", "of another version"


def damage_experiments(frame: Frame) -> Iterator[Experiment]:
    """Yield a run that goes on with each file damaged in each way."""
    whole = frame.work.whole
    files = [path for name in ("run/work", "cache") for path in sorted((whole / name).rglob("*")) if path.is_file()]
    for file in files:
        for how in (_HALF, _EMPTY, _FOREIGN):
            yield _with_damage(frame, file.relative_to(whole), how)


def _with_damage(frame: Frame, file: Path, how: str) -> Experiment:
    work, place = frame.work, frame.place()
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
    right = done.code in (0, 1, 3) and outcome(place / "run") == frame.expected and "Traceback" not in done.errors
    right = right and journaled(place / "run").startswith(kept)
    came_to = "the result of an unbroken run" if right else f"WRONG: exit code {done.code}"
    frame.table.add(f"a file of the work folder or the cache {how}", came_to, f"{file} {done.errors[-2000:]}")
    shutil.rmtree(place, ignore_errors=True)
