"""Settings inside mappings, by their dotted names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value inside a mapping that is no mapping itself, after its name, such as ``data.path``.

    Args:
        values: The mapping.
        above: What each name begins with.
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
