"""Models that show themselves in a line or two: a report of thousands of values is no answer to a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

_LONGEST_TEXT = 60
_MOST_ITEMS = 3


class BriefModel(BaseModel):
    """A model whose repr has its plain values, and of all others what they are; ``model_dump`` has everything."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield each field with a short form of its value; those without one are left out."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None and value != () and value != {}:
                yield name, _Brief(value)


class _Brief:
    """A value that is written short."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        value = self._value
        if isinstance(value, BaseModel):
            return f"{type(value).__name__}(…)"
        if isinstance(value, str):
            return repr(value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}…")
        if isinstance(value, Mapping | tuple | list) and len(value) > _MOST_ITEMS:
            return f"<{len(value):,} items>"
        if isinstance(value, tuple | list):
            return f"({', '.join(repr(_Brief(item)) for item in value)})"
        if isinstance(value, Mapping):
            return f"{{{', '.join(f'{key!r}: {_Brief(item)!r}' for key, item in value.items())}}}"
        return repr(value)
