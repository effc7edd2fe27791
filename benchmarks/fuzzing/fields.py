"""Changes of a protocol buffer that a file of a few bytes asks for: what comes of them always parses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from fuzzing.drawn import Numbers

_NUMBERS = (0, 1, -1, 2, 3, 7, 13, 22, 255, 1 << 20, 1 << 31, -(1 << 31), (1 << 62), (1 << 63) - 1, -(1 << 63))
_TEXTS = (b"", b"x", b"image", b"Conv", b"If", b"Loop", b"Reshape", b"QuantizeLinear", b"com.microsoft", b"\xff", b"N")
_FLOATS = (0.0, -1.0, 1e-45, 3e38, float("inf"), float("nan"))
_LONGEST = 12


def changed_message(message: Message, content: bytes) -> bytes:
    """Return a message, serialized, after the changes that bytes ask for.

    Args:
        message: It is not changed.
        content: Two bytes a decision.
    """
    made = type(message)()
    made.CopyFrom(message)
    numbers = Numbers(content)
    for _ in range(_LONGEST):
        if not numbers.is_left():
            break
        messages = list(_messages(made))
        held = messages[numbers.number(len(messages))]
        fields = list(held.DESCRIPTOR.fields)
        used = [field for field, _ in held.ListFields()]
        choice = used if used and numbers.number(4) else fields
        _change(held, choice[numbers.number(len(choice))], numbers)
    content = made.SerializeToString()
    return bytes(content)


def _messages(message: Message) -> Iterator[Any]:
    todo = [message]
    while todo:
        held = todo.pop()
        yield held
        for field, value in held.ListFields():
            if field.type == field.TYPE_MESSAGE:
                todo.extend(value if _repeats(field) else [value])


def _repeats(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _change(held: Any, field: Any, numbers: Numbers) -> None:
    kind = numbers.number(6)
    if kind == 0:
        held.ClearField(field.name)
    elif _repeats(field):
        values = getattr(held, field.name)
        place = numbers.number(len(values))
        if field.type == field.TYPE_MESSAGE:
            if kind == 1 and values:
                del values[place]
            elif kind == 2 and values:
                values.add().CopyFrom(values[place])
            elif kind == 3 and len(values) > 1:
                values[place].CopyFrom(values[numbers.number(len(values))])
            else:
                values.add()
        elif kind == 1 and values:
            del values[place]
        elif kind == 2 or not values:
            values.append(_value(field, numbers))
        else:
            values[place] = values[numbers.number(len(values))] if kind == 3 else _value(field, numbers)
    elif field.type == field.TYPE_MESSAGE:
        getattr(held, field.name).SetInParent()
    else:
        setattr(held, field.name, _value(field, numbers))


def _value(field: Any, numbers: Numbers) -> Any:
    if field.type == field.TYPE_STRING:
        return _TEXTS[numbers.number(len(_TEXTS))].decode("utf-8", "replace")
    if field.type == field.TYPE_BYTES:
        return _TEXTS[numbers.number(len(_TEXTS))]
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return _FLOATS[numbers.number(len(_FLOATS))]
    if field.type == field.TYPE_ENUM:
        return field.enum_type.values[numbers.number(len(field.enum_type.values))].number
    value = _NUMBERS[numbers.number(len(_NUMBERS))]
    unsigned = field.type in (field.TYPE_UINT32, field.TYPE_UINT64)
    bits = 32 if field.type in (field.TYPE_INT32, field.TYPE_UINT32) else 64
    return max(0, min(value, (1 << bits) - 1)) if unsigned else max(-(1 << bits - 1), min(value, (1 << bits - 1) - 1))
