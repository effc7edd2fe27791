"""The JSON Schemas of everything that this tool writes for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel

from quantize.report.benchmark import BenchmarkReport
from quantize.report.schema import RunReport

DIALECT = "https://json-schema.org/draft/2020-12/schema"

SCHEMAS: Mapping[str, type[BaseModel]] = MappingProxyType({"report": RunReport, "benchmark": BenchmarkReport})
"""What ``quantize schema`` can show of this room, by name."""


def json_schema(model: type[BaseModel]) -> str:
    """Return the JSON Schema of files of a kind, as text."""
    schema = model.model_json_schema(mode="serialization")
    return json.dumps({"$schema": DIALECT, **schema}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
