"""What a type takes, read off its annotation: words for errors and helps, and choices."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from quantize.config.nearest import one_of
from quantize.config.values import Expected

_WIDEST_METAVAR = 15  # a column of the help at a width of 80


def expected_of(annotation: Any) -> Expected:
    """Return what a type takes: its own words, or its choices."""
    choices = choices_of(annotation)
    if choices:
        together = "|".join(choices)
        return Expected(one_of(choices), together if len(together) <= _WIDEST_METAVAR else "NAME")
    for metadata in metadata_of(annotation):
        if isinstance(metadata, Expected):
            return metadata
    return Expected("a value")


def choices_of(annotation: Any) -> tuple[str, ...]:
    """Return the values that a type is limited to, or nothing."""
    plain = plain_type(annotation)
    if get_origin(plain) is tuple:
        return choices_of(get_args(plain)[0])
    return tuple(str(value) for value in get_args(plain)) if get_origin(plain) is Literal else ()


def plain_type(annotation: Any) -> Any:
    """Return a type without ``| None`` and ``Annotated``."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [item for item in get_args(annotation) if item is not type(None)]
        return plain_type(inner[0]) if len(inner) == 1 else annotation
    return annotation


def metadata_of(annotation: Any, *more: Any) -> tuple[Any, ...]:
    """Return what ``Annotated`` carries, below ``| None`` too."""
    if get_origin(annotation) is Annotated:
        inner, *own = get_args(annotation)
        return (*metadata_of(inner), *own, *more)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(item for part in get_args(annotation) for item in metadata_of(part)) + more
    return more
