"""Read a YAML file node by node, keeping the position of every value."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from quantize.bounded_reading import read_bounded
from quantize.config.document import Document, KeyPath, Loader
from quantize.config.problem import Problem, dotted, shown
from quantize.errors import ConfigError
from quantize.similar_names import did_you_mean

_MOST_BYTES = 1 << 20
_MOST_VALUES = 20_000
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}
_NULL = "tag:yaml.org,2002:null"
_UNREAD = object()
"""Stands for a value of which a problem was told: it is left out, so that nothing else is said of it."""
_LISTS = {"tag:yaml.org,2002:seq", "tag:yaml.org,2002:python/tuple"}


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: The file is missing, empty, not text, not YAML, or not a mapping.
    """
    name = str(path)
    text = _text(path)
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise ConfigError(
                "the configuration is empty",
                where=name,
                expected="settings in YAML",
                advice="leave --config out for the defaults, or start from configs/squeezenet.yaml",
            )
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(
                "not a configuration",
                where=_at(name, node.start_mark),
                found=f"a {'list' if isinstance(node, yaml.SequenceNode) else 'single value'}",
                expected="a mapping of blocks, such as `tuning:` with its keys below it",
            )
        document = Document(name)
        document.values = _NodeReader(loader, document).mapping(node, ())
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(name, error) from error
    except yaml.YAMLError as error:
        raise ConfigError("not YAML", where=name, found=str(error).splitlines()[0], expected="a text file") from error
    except RecursionError as error:
        raise ConfigError("nested too deeply", where=name, expected="a few levels of blocks") from error
    finally:
        loader.dispose()
    return document


class _NodeReader:
    """Reads a file's nodes one by one."""

    def __init__(self, loader: Loader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._open: set[int] = set()
        self._count = 0

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in self._pairs(node, path):
            key_at = _at(self._document.name, key_node.start_mark)
            key = str(key_node.value)
            here = (*path, key)
            self._document.keys[here] = key_at
            value = self._value(value_node, here)
            if value is not _UNREAD:
                values[key] = value
        return values

    def _pairs(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Yield keys and values, merged blocks (``<<``) first, after a look at what YAML itself lets pass."""
        seen: dict[str, yaml.Node] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _NULL:
                self._problem(key_node, "a key must be a name", found=f"a {key_node.id}", expected="`name: value`")
                continue
            if key_node.value in seen and key_node.tag != "tag:yaml.org,2002:merge":
                first = seen[key_node.value].start_mark.line + 1
                full = dotted((*path, key_node.value))
                self._problem(
                    key_node, f"{full}: written twice", found=f"the first one in line {first}", expected="one of them"
                )
            seen.setdefault(key_node.value, key_node)
        self._loader.flatten_mapping(node)
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _NULL:
                yield key, value

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._document.places[path] = _at(self._document.name, node.start_mark)
        self._count += 1
        if id(node) in self._open or self._count > _MOST_VALUES:
            raise ConfigError(
                "anchors and aliases that expand without end",
                where=_at(self._document.name, node.start_mark),
                expected="a configuration of a few hundred lines",
            )
        self._open.add(id(node))
        try:
            return self._read(node, path)
        finally:
            self._open.discard(id(node))

    def _read(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag in _LISTS:
            items = [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
            return _UNREAD if any(item is _UNREAD for item in items) else items
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            try:
                return self._loader.construct_object(node)
            except (ValueError, LookupError, TypeError, AttributeError):
                found = f"{shown(node.value)} behind the tag {node.tag}"
                self._problem(
                    node, "not a value of that YAML type", found=found, expected="a plain value, without a tag"
                )
                return _UNREAD
        self._problem(node, "unsupported YAML type", found=node.tag, expected="a plain value")
        return _UNREAD

    def _problem(self, node: yaml.Node, problem: str, *, found: str, expected: str) -> None:
        at = _at(self._document.name, node.start_mark)
        self._document.problems.append(Problem(at, problem, found=found, expected=expected))


def _text(path: Path) -> str:
    name = str(path)
    try:
        if path.is_dir():
            raise ConfigError("a folder, not a file", where=name, expected="a YAML file")
        content = read_bounded(path, _MOST_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(
            "no such file",
            where=name,
            expected="a YAML file",
            advice=did_you_mean(path) or "check --config; configs/squeezenet.yaml is one to start from",
        ) from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            expected = "a YAML file of at most 1 MiB"
            raise ConfigError("too large for a configuration", where=name, expected=expected) from error
        raise ConfigError("cannot be read", where=name, found=error.strerror or str(error)) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            "not a text file", where=f"{name}:{line}", found=f"byte 0x{content[error.start]:02x}", expected="UTF-8 text"
        ) from error
    control = Loader.NON_PRINTABLE.search(text)
    if control is not None:
        line = text.count("\n", 0, control.start()) + 1
        character = f"the control character U+{ord(control.group()):04X}"
        raise ConfigError("not a text file", where=f"{name}:{line}", found=character, expected="UTF-8 text")
    return text


def _syntax_error(name: str, error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "cannot be read"
    where = name if mark is None else _at(name, mark)
    if "\\t" in problem or "'\t'" in problem:
        return ConfigError(
            "a tab", where=where, found="a tab character", expected="spaces", advice="YAML takes no tabs to indent"
        )
    context = error.context
    if context and error.context_mark is not None:
        context += f" that starts in line {error.context_mark.line + 1}"
    found = ": ".join(filter(None, (context, problem)))
    if "escape" in problem and "double-quoted" in (context or ""):
        advice = "a backslash in double quotes begins an escape: write paths in single quotes, or with forward slashes"
        return ConfigError("not YAML", where=where, found=found, expected="'C:\\Users', or C:/Users", advice=advice)
    return ConfigError("not YAML", where=where, found=found)


def _at(name: str, mark: yaml.Mark | None) -> str:
    return name if mark is None else f"{name}:{mark.line + 1}:{mark.column + 1}"
