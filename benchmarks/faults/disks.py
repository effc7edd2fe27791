"""Disks that are full or read-only: each folder of a run on a small file system of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from faults.experiments import Act, Frame
from faults.moments import MOMENTS, once
from faults.processes import Experiment

_SIZE = "8m"


def disk_experiments(frame: Frame) -> Iterator[Experiment]:
    """Yield what a full and a read-only disk does; only root can mount one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return
    for name, what in (("run", "output"), ("tmp", "TMPDIR"), ("cache", "cache")):
        disk: dict[str, Any] = {"before": _mounted(name), "between": _emptied(name), "after": _unmounted(name)}
        yield frame.broken(f"disk of {what} full before", **{**disk, "before": _mounted(name, full=True)})
        for moment in MOMENTS if name == "run" else MOMENTS[2:4]:
            here = frame.place()
            act = once(here / "run", moment, _filling(here / name))
            yield frame.broken(f"disk of {what} full from some moment on", here, meanwhile=act, **disk)
        yield frame.broken(f"{what} read-only", **{**disk, "before": _mounted(name, options="ro")})


def _mounted(name: str, *, full: bool = False, options: str = "rw") -> Act:
    def mount(place: Path) -> None:
        folder = place / name
        kept = folder.with_name(f"{name}-kept")
        if folder.is_dir():
            folder.rename(kept)
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)], check=True)
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
