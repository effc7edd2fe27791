"""Reading a catalog from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from quantize.config.document import Document
from quantize.config.nearest import nearest
from quantize.config.problem import Problem, dotted, error_of, in_file_order, shown
from quantize.config.validation import what_is_wrong
from quantize.config.yaml_file import read_document
from quantize.errors import ConfigError
from quantize.models.catalog.entry import CatalogEntry


def read_catalog_file(path: Path) -> Mapping[str, CatalogEntry]:
    """Return the entries of a catalog file by name.

    Raises:
        ConfigError: The file cannot be read, or entries in it are wrong: with file, line and key.
    """
    document = read_document(path)
    listed = document.values.get("models")
    problems = list(document.problems)
    if not isinstance(listed, dict) or set(document.values) != {"models"}:
        raise ConfigError(
            "not a catalog of models", where=str(path), expected="one key `models`, entries by name in it"
        )
    entries: dict[str, CatalogEntry] = {}
    for name, values in listed.items():
        fields = values if isinstance(values, dict) else {}
        try:
            entries[name] = CatalogEntry.model_validate({"file": f"{name}.onnx", **fields, "name": name})
        except ValidationError as error:
            problems += [_problem(name, dict(detail), document) for detail in error.errors()]
    if problems:
        raise error_of(in_file_order(problems))
    return entries


def _problem(name: str, detail: Mapping[str, Any], document: Document) -> Problem:
    path = ("models", name, *detail["loc"])
    known = [key for key in CatalogEntry.model_fields if key != "name"]
    if detail["type"] == "extra_forbidden":
        meant = nearest(str(path[-1]), known)
        return Problem(
            document.where(path, key=True),
            f"{dotted(path)}: unknown key",
            expected=f"one of {', '.join(known)}" if len(detail["loc"]) == 1 else None,
            advice=f"did you mean `{meant}`?" if meant else None,
        )
    if detail["type"] == "missing":
        return Problem(document.where(path), f"{dotted(path)}: missing")
    field = CatalogEntry.model_fields.get(str(path[2])) if len(path) > 2 else None
    return Problem(
        document.where(path),
        f"{dotted(path)}: {'wrong form' if 'pattern' in detail['type'] else what_is_wrong(detail)}",
        found=shown(detail["input"]) if field is not None else None,
        expected=field.description if field is not None else None,
    )
