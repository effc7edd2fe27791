"""Changes of a JSON document that a file of a few bytes asks for: it stays JSON, and mostly near its schema."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, -(2**63), 2**70, 0.5, -0.0, 1e308, 5e-324, "", "x", [], {}, [[]], {"": None}),
    *(
        "\x00\n::error::x\x1b",
        "\u202e",
        "a" * 5000,
        "=1+1",
        "../../x",
        "/dev/zero",
        "1.5",
        "NaN",
        "fp32",
        "int8",
        "qdq",
    ),
)


class _Bytes:
    """Numbers from bytes, zeros at their end."""

    def __init__(self, content: bytes) -> None:
        self._content, self.place = content, 0

    def number(self, below: int) -> int:
        """Return a number from 0 to ``below`` - 1, of two bytes."""
        word = self._content[self.place : self.place + 2].ljust(2, b"\0")
        self.place += 2
        return int.from_bytes(word, "big") % max(below, 1)

    def is_left(self) -> bool:
        """Return whether bytes are left."""
        return self.place < len(self._content)


def changed_json(document: Any, content: bytes) -> bytes:
    """Return a JSON document, as text, after the changes that bytes ask for; none are asked for by no bytes."""
    value, numbers = json.loads(json.dumps(document)), _Bytes(content[:200])
    for _ in range(12):
        if not numbers.is_left():
            break
        places = list(_places(value))
        holder, key = places[numbers.number(len(places))]
        kind = numbers.number(8)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif kind == 2 and isinstance(holder, dict):
            holder[_TEXTS[numbers.number(len(_TEXTS))]] = holder.pop(key)
        elif kind == 3:
            other, there = places[numbers.number(len(places))]
            try:
                holder[key] = copy.deepcopy(other[there])
            except (LookupError, TypeError):  # it went with an earlier change
                continue
        elif kind == 4 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            holder[key] = holder[key] * (numbers.number(5) - 2)
        else:
            holder[key] = copy.deepcopy(_VALUES[numbers.number(len(_VALUES))])
        if not isinstance(value, dict) or not value:
            break
    return json.dumps(value).encode("utf-8")


_TEXTS = tuple(value for value in _VALUES if isinstance(value, str))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every holder and key of a document."""
    todo = [value]
    while todo:
        holder = todo.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list) and holder[key]:
                todo.append(holder[key])
