"""Types of settings: blocks and values, their ranges, and how they are parsed from text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Block(BaseModel):
    """A block of settings: frozen, no key beyond its own, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


@dataclass(frozen=True)
class Expected:
    """What a setting takes, in words that finish the sentence "expected ...".

    Attributes:
        text: The words.
        metavar: What the flag's help shows in the value's place.
    """

    text: str
    metavar: str = "TEXT"


@dataclass(frozen=True)
class Flag:
    """A flag whose name is not the key's last name, or a key that has no flag.

    Attributes:
        name: The flag without its dashes, or None for no flag.
    """

    name: str | None


_PERCENT = re.compile(r"\s*([-+]?[0-9.]+)\s*%\s*")
_QUOTIENT = re.compile(r"\s*([0-9.]+)\s*/\s*([0-9.]+)\s*")
_DURATION = re.compile(r"\s*([0-9.]+)\s*(s|sec|seconds?|m|min|minutes?|h|hours?)\s*")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b\s*", re.IGNORECASE)
_PREFIXES = " kmgt"
_ESCAPED_DRIVE = re.compile(r"[A-Za-z]:.*[\x00-\x1f\x7f\x85\xa0\u2028\u2029]", re.DOTALL)
_SEPARATOR = re.compile(r"[\s,]+")


def _no_boolean(value: Any) -> Any:
    """Refuse true and false where a number belongs: Python counts them as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a number is needed here")
    return value


def _percent(value: Any) -> Any:
    """Read ``1%`` as 0.01, as Neural Compressor does."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return value if match is None else float(match[1]) / 100


def _quotient(value: Any) -> Any:
    """Read ``1/255`` as the number."""
    match = _QUOTIENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    if float(match[2]) == 0.0:
        raise ValueError("divides by zero")
    return float(match[1]) / float(match[2])


def _duration(value: Any) -> Any:
    """Read ``90s``, ``30 min`` and ``1.5h`` as seconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return value if match is None else float(match[1]) * _UNITS[match[2][0]]


def _size(value: Any) -> Any:
    """Read ``8GB``, ``500 MB`` and ``1.5GiB`` as bytes."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** _PREFIXES.index(match[2].lower() or " "))


def _split(value: Any) -> Any:
    """Read ``a, b`` and ``a b`` as a list."""
    return [part for part in _SEPARATOR.split(value) if part] if isinstance(value, str) else value


def _triple(value: Any) -> Any:
    """Read one number as the same number for each channel."""
    parts = _split(value)
    if isinstance(parts, int | float) and not isinstance(parts, bool):
        parts = [parts]
    return list(parts) * 3 if isinstance(parts, list | tuple) and len(parts) == 1 else parts


def _home(path: Path) -> Path:
    """Read a leading ``~`` as the home folder, which no shell does behind ``--flag=`` or in a file."""
    if "\0" in str(path):
        raise ValueError("a path holds no NUL character")
    if _ESCAPED_DRIVE.match(str(path)):  # "C:\new" in double quotes
        raise ValueError("an escape in double quotes: write it in single quotes, or with forward slashes")
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"no home folder for {path.parts[0]}") from None


_Whole = Annotated[int, BeforeValidator(_no_boolean)]
_Number = Annotated[float, BeforeValidator(_no_boolean)]
_Positive = Annotated[_Number, Field(gt=0.0)]
_Percentage = Annotated[_Number, BeforeValidator(_percent)]

Count = Annotated[_Whole, Field(ge=1, le=10**9), Expected("a whole number from 1 up", "NUMBER")]
Counts = Annotated[
    tuple[Annotated[int, Field(ge=1, le=10**9)], ...],
    BeforeValidator(_split),
    Field(min_length=1),
    Expected("whole numbers from 1 up, separated by commas", "N,N"),
]
CountOrZero = Annotated[_Whole, Field(ge=0, le=10**9), Expected("a whole number from 0 up", "NUMBER")]
Seed = Annotated[_Whole, Field(ge=0, le=2**32 - 1), Expected("a whole number from 0 to 4294967295", "NUMBER")]
Fraction = Annotated[
    _Percentage,
    Field(ge=0.0, lt=1.0),
    Expected("a fraction from 0 to below 1, such as 0.01, or a percentage, such as 1%", "FRACTION"),
]
Share = Annotated[
    _Percentage,
    Field(ge=0.0, le=1.0),
    Expected("a fraction from 0 to 1, such as 0.95, or a percentage, such as 95%", "FRACTION"),
]
Confidence = Annotated[
    _Percentage,
    Field(ge=0.5, lt=1.0),
    Expected("a fraction from 0.5 to below 1, such as 0.95, or a percentage, such as 95%", "FRACTION"),
]
Factor = Annotated[
    _Number,
    BeforeValidator(_quotient),
    Field(gt=0.0),
    Expected("a number above 0, such as 1, or a quotient, such as 1/255", "NUMBER"),
]
Speedup = Annotated[_Number, Field(ge=0.0), Expected("a number from 0 up, such as 1 or 1.5", "NUMBER")]
Seconds = Annotated[
    _Number,
    BeforeValidator(_duration),
    Field(gt=0.0, le=10**9),
    Expected("seconds above 0, such as 90, or a time with its unit, such as 30min", "TIME"),
]
Size = Annotated[
    _Whole,
    BeforeValidator(_size),
    Field(ge=10**6, le=10**15),
    Expected("bytes, or a size with its unit, such as 8GB, from 1MB up", "SIZE"),
]
Triple = Annotated[
    tuple[_Number, _Number, _Number],
    BeforeValidator(_triple),
    Expected("three numbers for red, green and blue, or one for all", "R,G,B"),
]
PositiveTriple = Annotated[
    tuple[_Positive, _Positive, _Positive],
    BeforeValidator(_triple),
    Expected("three numbers above 0 for red, green and blue, or one for all", "R,G,B"),
]
Names = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_split),
    Expected("a name, or several separated by commas", "NAME,NAME"),
]
Switch = Annotated[bool, Expected("true or false", "true|false")]
Text = Annotated[str, Field(min_length=1), Expected("a text")]
Place = Annotated[Path, AfterValidator(_home), Expected("a path", "PATH")]
