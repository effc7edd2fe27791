"""Reports on disk, and the JSON Schemas of this tool's machine-readable output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ValidationError

from quantize.bounded_reading import LARGEST_TEXT, read_bounded
from quantize.errors import RunError
from quantize.files import write_text
from quantize.report.benchmark import BenchmarkReport
from quantize.report.schema import RunReport


def write_report(report: RunReport, path: Path) -> None:
    """Write ``report.json`` in one step; fields stand in the schema's order."""
    write_text(path, report.model_dump_json(indent=1) + "\n")


def read_report(path: Path) -> RunReport:
    """Read a ``report.json``.

    Raises:
        RunError: It is missing, not JSON, or not of this schema.
    """
    try:
        return RunReport.model_validate_json(read_bounded(path, LARGEST_TEXT, regular=True))
    except OSError as error:
        raise RunError("the report cannot be read", where=str(path), found=str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RunError(
            "a report that this version cannot read",
            where=str(path),
            found=f"{place}: {first['msg']} ({error.error_count()} such places)",
            expected="a report.json of schema version 1",
            advice="run `quantize tune` again with this version",
        ) from None


DIALECT = "https://json-schema.org/draft/2020-12/schema"

SCHEMAS: Mapping[str, type[BaseModel]] = MappingProxyType({"report": RunReport, "benchmark": BenchmarkReport})
"""What ``quantize schema`` can show of this room, by name."""


def json_schema(model: type[BaseModel], mode: Literal["serialization", "validation"] = "serialization") -> str:
    """Return the JSON Schema of files of a kind, as text.

    Args:
        model: Of the files.
        mode: Of files that this tool writes, or of those that it reads.
    """
    schema = model.model_json_schema(mode=mode)
    return json.dumps({"$schema": DIALECT, **schema}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
