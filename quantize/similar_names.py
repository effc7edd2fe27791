"""What a path that leads nowhere may have meant: the most similar name in the same folder."""

from __future__ import annotations

import difflib
import os
from itertools import islice
from pathlib import Path

from quantize.quoting import quoted

_MOST_NAMES = 10_000
"""Names that are looked at in a folder: more are images, and take time."""
_LIKE = 0.7


def did_you_mean(path: Path) -> str | None:
    """Return a question that names what lies beside a missing file or folder under nearly its name; None: nothing.

    Args:
        path: The missing file or folder.
    """
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in islice(entries, _MOST_NAMES)]
    except OSError:
        return None
    if path.name in names:  # it is there, and cannot be read for another reason
        return None
    similar = difflib.get_close_matches(path.name, names, n=1, cutoff=_LIKE)
    return f"did you mean {quoted(path.with_name(similar[0]))}?" if similar else None
