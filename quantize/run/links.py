"""Links in a run's folder: one from a stranger could make a run write anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from quantize.errors import RunError
from quantize.recipe import EngineName
from quantize.run.folder import JOURNAL

_WRITTEN_THROUGH = (JOURNAL, "work", *get_args(EngineName))
"""What a run adds to, or writes files in; all else takes a file's place under its name, which replaces a link."""


def refuse_links_that_leave(run: Path) -> None:
    """Refuse a run's folder in which a link leads out of it, before anything is written there.

    Args:
        run: The folder, which may not be there yet; it may itself be named by a link, since the user named it.

    Raises:
        RunError: There is such a link.
    """
    home = run.resolve()
    for link in _links(run):
        if not link.resolve().is_relative_to(home):
            raise RunError(
                "a link in the run's folder leads out of it",
                where=str(link),
                found=f"a link to {link.resolve()}",
                expected="files and folders",
                advice="if the folder is yours, put what it names in the link's place; else name another one",
            )


def _links(run: Path) -> Iterator[Path]:
    for name in _WRITTEN_THROUGH:
        place = run / name
        if place.is_symlink():
            yield place
        for folder, folders, files in os.walk(place):
            yield from (path for name in (*folders, *files) if (path := Path(folder, name)).is_symlink())
