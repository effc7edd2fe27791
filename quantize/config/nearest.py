"""The known name closest to a misspelled one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate most like ``name``, whatever its case and dashes, or None if none is like it."""
    by_spelling = {_folded(candidate): candidate for candidate in candidates}
    matches = difflib.get_close_matches(_folded(name), by_spelling, n=1, cutoff=0.6)
    return by_spelling[matches[0]] if matches else None


def _folded(name: str) -> str:
    return name.lower().replace("-", "_").lstrip("_")


def one_of(names: Iterable[str]) -> str:
    """Return the names as the words after "expected"."""
    listed = list(names)
    return listed[0] if len(listed) == 1 else f"one of {', '.join(listed)}"
