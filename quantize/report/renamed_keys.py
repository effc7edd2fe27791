"""Report keys that had another name in earlier versions: old reports are read under the new names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

RENAMED: Mapping[str, str] = MappingProxyType(
    {
        # Why something ended is called `stopped_because` in the verdict and in each engine's part.
        "search.stopped": "search.stopped_because",
        "engines.*.search.stopped": "engines.*.search.stopped_because",
    }
)
"""Old dotted key to new dotted key; ``*`` is any position in a list. Only the last part of a key changes."""


def with_new_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report's values with the keys that it would have today."""
    renamed: Any = dict(values)
    for old, new in RENAMED.items():
        renamed = _renamed(renamed, old.split("."), new.rpartition(".")[2])
    return dict(renamed)


def new_name(key: str) -> str:
    """Return the dotted key, list positions as numbers, that a dotted key of an earlier report has today."""
    parts = key.split(".")
    for old, new in RENAMED.items():
        path = old.split(".")
        if len(parts) >= len(path) and all(want in ("*", part) for want, part in zip(path, parts, strict=False)):
            parts[len(path) - 1] = new.rpartition(".")[2]
    return ".".join(parts)


def _renamed(value: Any, path: Sequence[str], new: str) -> Any:
    first, *rest = path
    if first == "*":
        return [_renamed(member, rest, new) for member in value] if isinstance(value, list | tuple) else value
    if not isinstance(value, Mapping) or first not in value:
        return value
    if rest:
        return {**value, first: _renamed(value[first], rest, new)}
    return {new if key == first else key: member for key, member in value.items()}
