"""Names and types of the settings, derived from the models: for errors, suggestions and flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from quantize.config.annotations import choices_of, expected_of, metadata_of, plain_type
from quantize.config.document import KeyPath
from quantize.config.run_config import RunConfig
from quantize.config.values import Block, Expected, Flag


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
            block = plain_type(field.annotation)
        elif _is_mapping(block):
            block = plain_type(get_args(block)[1])
            field = FieldInfo(annotation=block)
        else:
            return field if index else None
    return field


def block_at(path: KeyPath) -> type[Block] | None:
    """Return the block at a path, or None if a plain setting or nothing is there."""
    if not path:
        return RunConfig
    field = field_at(path)
    return None if field is None else _block(plain_type(field.annotation))


def takes_blank(path: KeyPath) -> bool:
    """Return whether a key with nothing behind it means an empty block, as in Neural Compressor's files."""
    field = field_at(path)
    if field is None:
        return False
    return block_at(path) is not None or _is_mapping(plain_type(field.annotation))


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


def _settings_of(block: type[Block], path: tuple[str, ...]) -> Iterator[Setting]:
    for name, info in block.model_fields.items():
        here = (*path, name)
        inner = _block(plain_type(info.annotation))
        flags = [item for item in metadata_of(info.annotation, *info.metadata) if isinstance(item, Flag)]
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
        inner = _block(plain_type(info.annotation))
        if inner is not None:
            yield from _paths_of(inner, (*path, name))


def _block(annotation: Any) -> type[Block] | None:
    """Return a type that is a block of settings, or None."""
    # On Python 3.10, list[str] and the like are instances of type, and issubclass takes them not.
    is_class = isinstance(annotation, type) and get_origin(annotation) is None
    return annotation if is_class and issubclass(annotation, Block) else None


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)
