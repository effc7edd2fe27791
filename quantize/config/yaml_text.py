"""YAML as configuration files need it: safe, without the surprises of YAML 1.1 in numbers and dates."""

from __future__ import annotations

import re
from typing import Any

import yaml

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
