"""A run's journal: the value of every finished step, keyed by the hash of its inputs.

The journal is a file of JSON lines that only grows. Its header says what the run was asked and what all its values
depend on; every further line is one step. A step that is requested again is not computed again, so an interrupted run
resumes where it stopped, and a recorded decision is repeated by recording it before it is requested.
"""

from __future__ import annotations

import copy
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from quantize.bounded_reading import read_bounded
from quantize.disk import refusals_told
from quantize.errors import RunError
from quantize.files import append_bytes
from quantize.provenance import fingerprint, sha256_bytes

_LOG = logging.getLogger("quantize")

_LARGEST = 1 << 30
"""Bytes: a thousand times what the longest search writes."""

_VERSION = 3
"""Versions 1 and 2 have no checksums and name steps without their inputs; 1 was judged on accuracy alone."""


class Journal:
    """The finished steps of one run.

    A line counts when it is whole and its checksum holds: what a kill or a disk has damaged, and all that follows it,
    is computed again. Results are JSON values, and what is returned is what was written, so that an unbroken run and
    a resumed one see the same numbers.
    """

    def __init__(
        self, path: Path, inputs: Mapping[str, Any], *, resume: bool, request: Mapping[str, Any] | None = None
    ) -> None:
        """Open the journal at ``path``.

        Args:
            path: The file.
            inputs: JSON value of everything that all results depend on.
            resume: Take up the steps that are there; without it, a file that is there is in the way.
            request: JSON value of what the run was asked, for ``recorded_request``; a resumed journal keeps its own.

        Raises:
            RunError: The file was computed from other inputs, has a damaged header, or is in the way.
            StorageError: It cannot be written; so it is for every further step.
        """
        self._path = path
        self._prefix = ""
        self._inputs = fingerprint(dict(inputs))
        self._steps: dict[str, tuple[str, Any]] = {}
        self._place = self._place_of_file()
        header = {"journal": _VERSION, "request": dict(request or {}), "inputs": dict(inputs)}
        if path.exists() and path.stat().st_size:
            if not resume:
                raise RunError("a journal is there already", where=str(path), advice="resume the run, or overwrite it")
            self._read(header)
        else:
            self._append(header, begin=True)
            self._place = self._place_of_file()

    def part(self, name: str, inputs: Any) -> Journal:
        """Return the same journal for a part of the run, whose steps depend on further inputs.

        Args:
            name: Goes before the names of the part's steps.
            inputs: JSON value of what all of them depend on besides the run's inputs.
        """
        part = copy.copy(self)
        part._prefix = f"{self._prefix}{name}: "
        part._inputs = fingerprint([self._inputs, name, inputs])
        return part

    def step(self, name: str, compute: Callable[[], Any], inputs: Any = None, *, kind: Any = Any) -> Any:
        """Return the value of a step, computing and recording it unless it was finished before.

        Args:
            name: What is computed, of what.
            compute: Returns the value, a JSON value.
            inputs: JSON value of what it is computed from, besides the journal's inputs and what the name says.
            kind: Type that the value has as JSON, for pydantic; a recorded one of another form, which only a journal
                of a stranger's holds, is computed again.
        """
        key = self._key(name, inputs)
        if not self._is_there(key, kind):
            result = compute()
            self._append({"step": self._prefix + name, "inputs": key, "result": result})
            self._steps[key] = (self._prefix + name, json.loads(json.dumps(result, allow_nan=False)))
        return self._steps[key][1]

    def _is_there(self, key: str, kind: Any) -> bool:
        if key not in self._steps:
            return False
        name, value = self._steps[key]
        if fits(kind, value):
            return True
        _LOG.warning("%s: the step '%s' has a value of another form; it is computed again", self._path, name)
        return False

    def finished(self, name: str, inputs: Any = None) -> bool:
        """Return whether a step was finished."""
        return self._key(name, inputs) in self._steps

    def value(self, name: str, inputs: Any = None, *, kind: Any = Any) -> Any:
        """Return the value of a step that was finished, or None if it was not, or is not of its ``kind``."""
        key = self._key(name, inputs)
        return self._steps[key][1] if self._is_there(key, kind) else None

    def values(self, prefix: str, *, kind: Any = Any) -> list[Any]:
        """Return the values of the finished steps whose name begins with ``prefix``, in the order of finishing."""
        begin = self._prefix + prefix
        return [value for name, value in self._steps.values() if name.startswith(begin) and fits(kind, value)]

    def _key(self, name: str, inputs: Any) -> str:
        return fingerprint([self._inputs, name, inputs])[:32]

    def _read(self, header: Mapping[str, Any]) -> None:
        content = _content(self._path)
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:  # killed while the header was written: nothing was finished
            self._truncate(0)
            self._append(header)
            return
        lines = whole.splitlines(keepends=True)
        _refuse_other_inputs(_header(self._path, lines[0]), header, self._path)
        good = len(lines[0])
        for number, line in enumerate(lines[1:], start=2):
            entry = _checked(line)
            if entry is None or not {"step", "inputs", "result"} <= entry.keys():
                _LOG.warning("%s: line %d is damaged; the run goes on from the line before it", self._path, number)
                break
            self._steps[str(entry["inputs"])] = (str(entry["step"]), entry["result"])
            good += len(line)
        if good < len(content):
            self._truncate(good)

    def _place_of_file(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino)

    def _truncate(self, length: int) -> None:
        with refusals_told(self._path), self._path.open("r+b") as stream:
            stream.truncate(length)
            os.fsync(stream.fileno())

    def _append(self, entry: Mapping[str, Any], *, begin: bool = False) -> None:
        if not begin and self._place_of_file() != self._place:
            raise RunError(
                "the journal was removed or replaced while the run was at work",
                where=str(self._path),
                expected="the file that the run began",
                advice="start the run again, and leave its folder alone until it has ended",
            )
        append_bytes(self._path, _line({**entry, "checksum": _checksum(entry)}), begin=begin)


def fits(kind: Any, value: Any) -> bool:
    """Return whether a JSON value has the form of a type that pydantic knows."""
    if is_dataclass(kind) and not (isinstance(value, dict) and value.keys() <= {field.name for field in fields(kind)}):
        return False
    try:
        _adapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def recorded_request(path: Path) -> Mapping[str, Any]:
    """Return what the run of a journal was asked.

    Raises:
        FileNotFoundError: There is no journal, or a kill cut its header short.
        RunError: The journal cannot be read, is of another version, or its header is damaged.
    """
    first, end, _ = _content(path).partition(b"\n")
    if not end:
        raise FileNotFoundError(f"{path.name} was not begun")
    request: Mapping[str, Any] = _header(path, first)["request"]
    return request


def _content(path: Path) -> bytes:
    try:
        return read_bounded(path, _LARGEST, regular=True)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RunError(
            "the journal cannot be read",
            where=str(path),
            found=str(error),
            expected="the file that the run began",
            advice="start the run again with --overwrite",
        ) from None


def _header(path: Path, line: bytes) -> Mapping[str, Any]:
    entry = _parsed(line)
    if entry is not None and entry.get("journal", _VERSION) != _VERSION:
        raise RunError(
            "an earlier version of quantize began this run"
            if entry["journal"] in tuple(range(_VERSION))
            else "another version of quantize began this run",
            where=str(path),
            found=f"journal version {entry['journal']}",
            expected=f"version {_VERSION}: its steps are found by what they were computed from",
            advice="start it again with --overwrite (a run of version 1 was for --target vnni, unless it named "
            "another), or continue it with the version that began it",
        )
    if entry is None or _checked(line) is None or not {"request", "inputs"} <= entry.keys():
        raise _damaged(path, "its first line does not have the checksum that it names")
    return entry


def _damaged(path: Path, found: str) -> RunError:
    return RunError(
        "the journal is damaged",
        where=str(path),
        found=found,
        expected="what the run was asked, and what it depends on",
        advice="start the run again with --overwrite",
    )


def _refuse_other_inputs(recorded: Mapping[str, Any], header: Mapping[str, Any], path: Path) -> None:
    before, now = recorded["inputs"], json.loads(json.dumps(header["inputs"]))
    if not isinstance(before, dict):
        raise _damaged(path, "what it depends on is no table")
    if before != now:
        raise RunError(
            "the journal is of another configuration",
            where=str(path),
            found=", ".join(_differences(before, now)),
            expected="the model, data and settings that the run was started with",
            advice="resume with the same settings, or overwrite the run",
        )


def _differences(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> Sequence[str]:
    """Return what differs, as ``key: recorded, now asked``."""
    keys = sorted(set(recorded) | set(asked))
    return [f"{key}: {recorded.get(key)}, now {asked.get(key)}" for key in keys if recorded.get(key) != asked.get(key)]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _checked(line: bytes) -> dict[str, Any] | None:
    """Return a line's content, or None if it is not what was written."""
    entry = _parsed(line)
    if entry is None:
        return None
    checksum = entry.pop("checksum", None)
    try:
        return entry if checksum == _checksum(entry) else None
    except (ValueError, RecursionError):  # a NaN, or nested more deeply than is written
        return None


def _checksum(entry: Mapping[str, Any]) -> str:
    return sha256_bytes(_line(entry))[:16]


def _line(entry: Mapping[str, Any]) -> bytes:
    return (json.dumps(entry, allow_nan=False, sort_keys=True) + "\n").encode("utf-8")
