"""Validation errors in the user's terms: file, line, key, the value, what was expected and the nearest valid name."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from quantize.config.dataloader import loader_names
from quantize.config.document import Document, KeyPath
from quantize.config.legacy import unused_names
from quantize.config.nearest import nearest, one_of
from quantize.config.overrides import is_flag
from quantize.config.problem import Problem, dotted, shown
from quantize.config.pydantic_words import what_is_wrong
from quantize.config.schema import block_at, choices_at, expected_at, known_paths, takes_blank


def problems_of(error: ValidationError, document: Document) -> list[Problem]:
    """Return a problem for each setting that a model refuses."""
    by_path: dict[KeyPath, Problem] = {}
    for detail in error.errors():
        path = tuple(detail["loc"])
        setting = path if detail["type"] == "extra_forbidden" else _setting(path)
        by_path.setdefault(setting, _problem(setting, dict(detail), document))
    return list(by_path.values())


def fill_blanks(document: Document) -> None:
    """Read a block without keys as an empty one, and report a setting without a value."""

    def fill(block: dict[str, Any], path: KeyPath) -> None:
        for name, value in list(block.items()):
            here = (*path, name)
            if value is None and takes_blank(here):
                block[name] = {}
            elif value is None and dotted(here) in _KNOWN:
                block.pop(name)
                document.problems.append(
                    Problem(
                        document.where(here, key=True),
                        f"{dotted(here)}: no value",
                        expected=expected_at(here).text,
                        advice="leave the key out for the default",
                    )
                )
            elif isinstance(value, dict):
                fill(value, here)

    fill(document.values, ())


def _problem(path: KeyPath, detail: dict[str, Any], document: Document) -> Problem:
    if detail["type"] == "extra_forbidden":
        return _unknown(path, document)
    where = document.where(path)
    written = document.get(path)
    value = detail["input"] if written is None else written
    problem = what_is_wrong(detail)
    choices = choices_at(path)
    meant = nearest(value, choices) if isinstance(value, str) and len(choices) > 1 else None
    is_plain = detail["type"] != "value_error" or block_at(path) is None
    return Problem(
        where,
        problem if is_flag(where) else f"{dotted(path)}: {problem}",
        found=shown(value) if is_plain else None,
        expected=expected_at(path).text if is_plain else None,
        advice=f"did you mean `{meant}`?" if meant else None,
    )


def _unknown(path: KeyPath, document: Document) -> Problem:
    name = str(path[-1])
    block = block_at(path[:-1])
    siblings = list(block.model_fields) if block is not None else []
    elsewhere = [dotted(known) for known in known_paths() if known[-1] == name]
    meant = (
        elsewhere[0] if elsewhere else nearest(name, [*siblings, *unused_names(path[:-1]), *loader_names(path[:-1])])
    )
    if meant is None:
        last = nearest(name, {str(known[-1]) for known in known_paths()})
        meant = next((dotted(known) for known in known_paths() if known[-1] == last), None)
    return Problem(
        document.where(path, key=True),
        f"{dotted(path)}: unknown key",
        expected=one_of(siblings) if siblings else None,
        advice=f"did you mean `{meant}`?" if meant else None,
    )


def _setting(path: KeyPath) -> KeyPath:
    """Return the path without the parts below the setting, such as an index in a list of numbers."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return path


_KNOWN = frozenset(dotted(path) for path in known_paths())
