"""What is no file in a run's folder: a link could make a run write anywhere, a pipe make it wait for ever."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from quantize.errors import RunError
from quantize.recipe import EngineName
from quantize.run.folder import JOURNAL

_WRITTEN_THROUGH = (JOURNAL, "work", *get_args(EngineName))
"""What a run adds to, or writes files in; all else takes a file's place under its name, which replaces a link."""


def refuse_links_that_leave(run: Path, names: Sequence[str] = _WRITTEN_THROUGH) -> None:
    """Refuse a run's folder in which a link leads out of it, or lies a pipe, before anything is written there.

    Args:
        run: The folder, which may not be there yet; it may itself be named by a link, since the user named it.
        names: What is written through in it: what a run does, or a folder that a command puts files in.

    Raises:
        RunError: There is such a link, a pipe, a socket or a device.
    """
    home = run.resolve()
    for place in _places(run, names):
        target = _target(place) if place.is_symlink() else place
        if target is None or (target != place and not target.is_relative_to(home)):
            raise RunError(
                "a link in the run's folder leads out of it",
                where=str(place),
                found="links in a circle" if target is None else f"a link to {target}",
                expected="files and folders",
                advice="if the folder is yours, put what it names in the link's place; else name another one",
            )
        if target.exists() and not (target.is_file() or target.is_dir()):
            raise RunError(
                "something in the run's folder is no file",
                where=str(place),
                found="a pipe, a socket or a device",
                expected="files and folders",
                advice="if the folder is yours, remove it; else name another one",
            )


def _places(run: Path, names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        yield run / name
        for folder, folders, files in os.walk(run / name):
            yield from (Path(folder, name) for name in (*folders, *files))


def _target(link: Path) -> Path | None:
    """Return what a link leads to in the end; None: to itself."""
    try:
        return link.resolve()
    except (OSError, RuntimeError):
        return None
