"""A YAML file as nested values with line and column, without the surprises of YAML 1.1."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from quantize.config.problem import Problem

KeyPath = tuple[str | int, ...]


@dataclass
class Document:
    """The values of a configuration, from a file or empty.

    Attributes:
        name: The file's name as the user wrote it.
        values: Nested mappings, lists and scalars.
        keys: Where each key is: ``file:line:column``.
        places: Where each value is.
        problems: Duplicate keys and keys that are not text.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    keys: dict[KeyPath, str] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def get(self, path: KeyPath) -> Any:
        """Return the value at a path, or None."""
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
        """Remove the value at a path, and return it, or None."""
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
        """Return where the value at ``path`` (or its key) is, or the nearest enclosing block whose place is known."""
        for length in range(len(path), 0, -1):
            known = (self.keys if key else self.places).get(path[:length])
            if known is not None:
                return known
        return self.name


# YAML 1.1 reads 010 as eight, 1:30 as ninety, 1e-2 as text, and 2012-01-01 as a date. Truth values stay as in 1.1
# (yes, no, on, off), because files written for Neural Compressor 1.x, which reads with the same library, use them.
_NULL = re.compile(r"(?:~|null|Null|NULL|)")
_BOOL = re.compile(r"(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(
    r"[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
_RESOLVERS = (
    ("bool", _BOOL, "yYnNtTfFoO"),
    ("null", _NULL, ("~", "n", "N", "")),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+0123456789."),
    ("merge", re.compile(r"<<"), "<"),
)


class Loader(yaml.SafeLoader):
    """A safe loader with the number rules of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the library's attribute


class _Dumper(yaml.SafeDumper):
    """A safe dumper that quotes what the loader would read as another type."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the library's attribute

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's signature
        return True


for _loader_or_dumper in (Loader, _Dumper):
    for _name, _pattern, _first in _RESOLVERS:
        _anchored = re.compile(rf"(?:{_pattern.pattern})\Z")
        _loader_or_dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _anchored, list(_first))


def _whole_number(loader: Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def dump(values: dict[str, Any]) -> str:
    """Return nested mappings, lists and scalars as YAML text, keys in the given order."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
