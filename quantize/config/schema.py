"""Names and types of the settings, derived from the models: for errors, suggestions and flags."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from quantize.config.document import KeyPath
from quantize.config.nearest import one_of
from quantize.config.run_config import RunConfig
from quantize.config.values import Block, Expected, Flag

_WIDEST_METAVAR = 15  # a column of the help at a width of 80


@dataclass(frozen=True)
class Setting:
    """A setting that has a flag.

    Attributes:
        key: Its dotted key in files.
        flag: Its flag, without dashes.
        description: What it decides, for help texts.
        expected: What it takes.
        default: What it is when it is not given, as files have it; None if nothing is.
        choices: The values that it is limited to; empty if it takes others.
    """

    key: str
    flag: str
    description: str
    expected: Expected
    default: object
    choices: tuple[str, ...] = ()

    @property
    def path(self) -> KeyPath:
        """Return the key's parts."""
        return tuple(self.key.split("."))


@cache
def settings() -> tuple[Setting, ...]:
    """Return all settings that have flags, in the order of the models."""
    return tuple(_settings_of(RunConfig, ()))


def field_at(path: KeyPath) -> FieldInfo | None:
    """Return the field at a path, or None if the models have none."""
    block: Any = RunConfig
    field: FieldInfo | None = None
    for index, part in enumerate(path):
        inner = _block(block)
        if inner is not None:
            field = inner.model_fields.get(str(part))
            if field is None:
                return None
            block = _plain(field.annotation)
        elif _is_mapping(block):
            block = _plain(get_args(block)[1])
            field = FieldInfo(annotation=block)
        else:
            return field if index else None
    return field


def block_at(path: KeyPath) -> type[Block] | None:
    """Return the block at a path, or None if a plain setting or nothing is there."""
    if not path:
        return RunConfig
    field = field_at(path)
    return None if field is None else _block(_plain(field.annotation))


def takes_blank(path: KeyPath) -> bool:
    """Return whether a key with nothing behind it means an empty block, as in Neural Compressor's files."""
    field = field_at(path)
    if field is None:
        return False
    return block_at(path) is not None or _is_mapping(_plain(field.annotation))


def expected_at(path: KeyPath) -> Expected:
    """Return what the setting at a path takes."""
    block = block_at(path)
    field = field_at(path)
    stated = [item for item in (field.metadata if field else ()) if isinstance(item, Expected)]
    if stated:
        return stated[-1]
    if block is not None:
        return Expected(f"a block with {', '.join(block.model_fields)}")
    return Expected("a value") if field is None else expected_of(field.annotation)


@cache
def known_paths() -> tuple[KeyPath, ...]:
    """Return the path of every key of the models, blocks included."""
    return tuple(_paths_of(RunConfig, ()))


def choices_at(path: KeyPath) -> tuple[str, ...]:
    """Return the values that a setting is limited to, or nothing."""
    field = field_at(path)
    return () if field is None else choices_of(field.annotation)


def expected_of(annotation: Any) -> Expected:
    """Return what a type takes: its own words, or its choices."""
    choices = choices_of(annotation)
    if choices:
        together = "|".join(choices)
        return Expected(one_of(choices), together if len(together) <= _WIDEST_METAVAR else "NAME")
    for metadata in _metadata(annotation):
        if isinstance(metadata, Expected):
            return metadata
    return Expected("a value")


def choices_of(annotation: Any) -> tuple[str, ...]:
    """Return the values that a type is limited to, or nothing."""
    plain = _plain(annotation)
    if get_origin(plain) is tuple:
        return choices_of(get_args(plain)[0])
    return tuple(str(value) for value in get_args(plain)) if get_origin(plain) is Literal else ()


def _settings_of(block: type[Block], path: tuple[str, ...]) -> Iterator[Setting]:
    for name, info in block.model_fields.items():
        here = (*path, name)
        inner = _block(_plain(info.annotation))
        flags = [item for item in _metadata(info.annotation, *info.metadata) if isinstance(item, Flag)]
        has_words = any(isinstance(item, Expected) for item in info.metadata)
        if inner is not None and not has_words:
            yield from _settings_of(inner, here)
        elif not flags or flags[0].name is not None:
            flag = flags[0].name if flags and flags[0].name else name
            default = info.get_default(call_default_factory=True)
            choices = choices_of(info.annotation)
            yield Setting(".".join(here), flag, info.description or "", expected_at(here), default, choices)


def _paths_of(block: type[Block], path: KeyPath) -> Iterator[KeyPath]:
    for name, info in block.model_fields.items():
        yield (*path, name)
        inner = _block(_plain(info.annotation))
        if inner is not None:
            yield from _paths_of(inner, (*path, name))


def _block(annotation: Any) -> type[Block] | None:
    """Return a type that is a block of settings, or None."""
    # On Python 3.10, list[str] and the like are instances of type, and issubclass takes them not.
    is_class = isinstance(annotation, type) and get_origin(annotation) is None
    return annotation if is_class and issubclass(annotation, Block) else None


def _plain(annotation: Any) -> Any:
    """Return a type without ``| None`` and ``Annotated``."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [item for item in get_args(annotation) if item is not type(None)]
        return _plain(inner[0]) if len(inner) == 1 else annotation
    return annotation


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _metadata(annotation: Any, *more: Any) -> tuple[Any, ...]:
    """Return what ``Annotated`` carries, below ``| None`` too."""
    if get_origin(annotation) is Annotated:
        inner, *own = get_args(annotation)
        return (*_metadata(inner), *own, *more)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(item for part in get_args(annotation) for item in _metadata(part)) + more
    return more
