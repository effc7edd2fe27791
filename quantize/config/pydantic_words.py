"""What pydantic finds wrong, in the words of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OUT_OF_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number", "string_too")
_WRONG_NUMBER = ("missing", "too_long", "too_short")


def what_is_wrong(detail: Mapping[str, Any]) -> str:
    """Return what one of pydantic's error details says, in a few words."""
    kind = detail["type"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind.startswith(_OUT_OF_RANGE):
        return "out of range"
    if kind == "literal_error":
        return "invalid value"
    return "wrong number of values" if kind.startswith(_WRONG_NUMBER) else "wrong type"
