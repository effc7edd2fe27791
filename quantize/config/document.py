"""A YAML file as nested values that remember where each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from quantize.config.problem import Problem

KeyPath = tuple[str | int, ...]


@dataclass
class Document:
    """The values of a configuration, from a file or empty.

    Attributes:
        name: The file's name as the user wrote it.
        values: Nested mappings, lists and scalars.
        keys: Where each key stands: ``file:line:column``.
        places: Where each value stands.
        problems: Duplicate keys and keys that are not text.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    keys: dict[KeyPath, str] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def get(self, path: KeyPath) -> Any:
        """Return the value at a path, or None where there is none."""
        value: Any = self.values
        for part in path:
            if not isinstance(value, dict) or part not in value:
                return None
            value = value[part]
        return value

    def has(self, path: KeyPath) -> bool:
        """Return whether the file has the key, with a value or without."""
        block = self.get(path[:-1])
        return isinstance(block, dict) and path[-1] in block

    def take(self, path: KeyPath) -> Any:
        """Remove the value at a path, and return it; None where there is none."""
        block = self.get(path[:-1])
        return block.pop(path[-1], None) if isinstance(block, dict) else None

    def put(self, path: KeyPath, value: Any, *, where: str) -> None:
        """Set the value at a path, with the blocks around it, as coming from ``where``."""
        block = self.values
        for part in path[:-1]:
            inner = block.get(str(part))
            if not isinstance(inner, dict):
                inner = block[str(part)] = {}
            block = inner
        block[str(path[-1])] = value
        self.keys[path] = self.places[path] = where

    def where(self, path: KeyPath, *, key: bool = False) -> str:
        """Return where the value at ``path`` (or its key) stands, or the nearest block around it that is known."""
        for length in range(len(path), 0, -1):
            known = (self.keys if key else self.places).get(path[:length])
            if known is not None:
                return known
        return self.name
