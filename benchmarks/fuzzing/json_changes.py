"""Changes of a JSON document that a file of a few bytes asks for: it stays JSON, and mostly near its schema."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from fuzzing.drawn import Numbers

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


_LONGEST = 12
_BYTES = 400


def json_seeds(least: bytes) -> list[bytes]:
    """Return what fuzzing of a document begins with: no change, the least document, and changes by drawn bytes."""
    draw = random.Random(0)
    return [b"", least, *(draw.randbytes(length) for length in (6, 12, 24, 48) for _ in range(5))]


def changed_json(document: str, content: bytes) -> bytes:
    """Return a JSON document after the changes that bytes ask for; none are asked for by no bytes.

    Args:
        document: Its text: an object that holds something.
        content: A byte or two a decision.
    """
    value, numbers = json.loads(document), Numbers(content[:_BYTES], narrow=True)
    for _ in range(_LONGEST):
        if not numbers.is_left() or not value:
            break
        _change(value, numbers)
    return json.dumps(value).encode("utf-8")


def _change(value: Any, numbers: Numbers) -> None:
    holder, key = _place(value, numbers)
    kind = numbers.number(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif kind == 2 and isinstance(holder, dict):
        holder[_TEXTS[numbers.number(len(_TEXTS))]] = holder.pop(key)
    elif kind == 3:
        other, there = _place(value, numbers)
        holder[key] = copy.deepcopy(other[there])
    elif kind == 4 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = holder[key] * (numbers.number(5) - 2)
    else:
        holder[key] = copy.deepcopy(_VALUES[numbers.number(len(_VALUES))])


def _place(value: Any, numbers: Numbers) -> tuple[Any, Any]:
    """Return the holder and the key that bytes ask for: a way down, where a long list weighs no more than a number."""
    holder = value
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = keys[numbers.number(len(keys))]
        below = holder[key]
        if not isinstance(below, dict | list) or not below or numbers.number(4) == 1:
            return holder, key
        holder = below


_TEXTS = tuple(value for value in _VALUES if isinstance(value, str))
