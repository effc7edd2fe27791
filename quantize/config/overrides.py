"""Settings from flags, which override those of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from quantize.config.document import Document, KeyPath, Loader
from quantize.config.problem import Problem, dotted
from quantize.config.schema import settings, takes_blank

_RELATIVE: KeyPath = ("tuning", "accuracy_criterion", "relative")
_ABSOLUTE: KeyPath = ("tuning", "accuracy_criterion", "absolute")
_PRESET: KeyPath = ("preprocessing", "preset")


def apply_overrides(document: Document, overrides: Mapping[str, object], notes: list[str]) -> None:
    """Set the values of flags in a document; flags win over the file.

    Args:
        document: The file's values, changed in place.
        overrides: Values by dotted key; None for a flag that was not given.
        notes: Gains a note for whatever a flag overrides in the file.

    Raises:
        KeyError: A key that is no setting.
    """
    flags = {setting.key: f"--{setting.flag}" for setting in settings()}
    given = {key: value for key, value in overrides.items() if value is not None}
    paths = {key: tuple(key.split(".")) for key in given}
    _set_other_loss_aside(document, given, notes)
    if dotted(_PRESET) in given:
        _set_other_preprocessing_aside(document, notes)
    for key, value in given.items():
        path = paths[key]
        document.put(path, _structured(document, path, value, flags[key]), where=flags[key])


def is_flag(where: str) -> bool:
    """Return whether a value comes from a flag."""
    return where.startswith("--")


def _set_other_loss_aside(document: Document, given: dict[str, object], notes: list[str]) -> None:
    """Drop the file's ``relative`` if the flag ``--absolute`` is given, and the other way round."""
    flags = [dotted(path) in given for path in (_RELATIVE, _ABSOLUTE)]
    if all(flags):
        document.problems.append(Problem("--relative, --absolute", "mutually exclusive", expected="one of them"))
        given.pop(dotted(_ABSOLUTE))
    for flag, other in ((_RELATIVE, _ABSOLUTE), (_ABSOLUTE, _RELATIVE)):
        if dotted(flag) in given and document.has(other):
            notes.append(f"{document.where(other, key=True)}: {dotted(other)}: replaced by --{flag[-1]}")
            document.take(other)


def _set_other_preprocessing_aside(document: Document, notes: list[str]) -> None:
    """Drop the file's parts of ``preprocessing``, which would change the preset that the flag asks for."""
    block = document.get(("preprocessing",))
    for name in [name for name in block if name != "preset"] if isinstance(block, dict) else []:
        where = document.where(("preprocessing", name), key=True)
        document.take(("preprocessing", name))
        notes.append(f"{where}: preprocessing.{name}: overridden by --preset")


def _structured(document: Document, path: KeyPath, value: object, flag: str) -> Any:
    """Read the text of a flag that takes a block as YAML."""
    if not isinstance(value, str) or not takes_blank(path):
        return value
    try:
        return yaml.load(value, Loader=Loader)  # noqa: S506 - a SafeLoader  # nosec B506
    except yaml.YAMLError as error:
        problem = str(getattr(error, "problem", None) or error)
        document.problems.append(Problem(flag, "not YAML", found=problem))
        return {}
