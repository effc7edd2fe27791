"""The record of a search: every finished step is on the disk before the next one begins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quantize.errors import RunError
from quantize.provenance import fingerprint

_VERSION = 2
"""Steps of version 1 were judged on accuracy alone, by another target."""


class Journal:
    """A file of JSON lines: a header that says of which configuration, then one finished step a line.

    A step has a key and a result, a JSON value. Asked again for a step that is there, the journal gives its result
    and nothing is done twice; a line that a kill cut short never counted.
    """

    def __init__(self, path: Path, configuration: Mapping[str, Any], *, resume: bool) -> None:
        """Open the journal at ``path``.

        Args:
            path: The file.
            configuration: JSON value of everything that the steps' results depend on.
            resume: Take up the steps that are there; without it, a file that is there is in the way.

        Raises:
            RunError: If the file is of another configuration, is damaged, or is in the way.
        """
        self._path = path
        self._results: dict[str, Any] = {}
        header = {
            "journal": _VERSION,
            "configuration": fingerprint(dict(configuration)),
            "settings": dict(configuration),
        }
        if path.exists() and path.stat().st_size:
            if not resume:
                raise RunError("a journal is there already", where=str(path), advice="resume the run, or overwrite it")
            self._read(header)
        else:
            self._append(header)

    def step(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return the result of a step, computing and recording it unless it was finished before.

        Args:
            key: Names the step and all that its result depends on besides the configuration.
            compute: Returns the result, a JSON value.
        """
        if key not in self._results:
            result = compute()
            self._append({"step": key, "result": result})
            # What is used is what was written, so that an unbroken run and a resumed one see the same number.
            self._results[key] = json.loads(json.dumps(result, allow_nan=False))
        return self._results[key]

    def finished(self, key: str) -> bool:
        """Return whether a step was finished."""
        return key in self._results

    def results(self, prefix: str) -> list[Any]:
        """Return the results of the finished steps whose key begins with ``prefix``, in the order of finishing."""
        return [result for key, result in self._results.items() if key.startswith(prefix)]

    def _read(self, header: Mapping[str, Any]) -> None:
        content = self._path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        try:
            entries = [json.loads(line) for line in lines]
        except ValueError as error:
            raise RunError(
                "the journal is damaged", where=str(self._path), found=str(error), advice="overwrite the run"
            ) from error
        if entries and entries[0].get("journal") != _VERSION:
            raise RunError(
                "another version of quantize began this run",
                where=str(self._path),
                found=f"journal version {entries[0].get('journal')}",
                expected=f"version {_VERSION}: trials are judged on speed too, for this machine's class of CPUs",
                advice="start it again with --overwrite, or continue it with the version that began it",
            )
        if entries and entries[0].get("configuration") != header["configuration"]:
            raise RunError(
                "the journal is of another configuration",
                where=str(self._path),
                found=", ".join(_differences(entries[0].get("settings", {}), header["settings"])),
                expected="the model, data and settings that the run was started with",
                advice="resume with the same settings, or overwrite the run",
            )
        if torn:
            with self._path.open("r+b") as stream:
                stream.truncate(len(whole) + 1 if whole else 0)
                os.fsync(stream.fileno())
        if not entries:
            self._append(header)
        self._results = {entry["step"]: entry["result"] for entry in entries[1:]}

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry, allow_nan=False, sort_keys=True) + "\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as stream:
            stream.write(line.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())


def _differences(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return what differs, as ``key: recorded, now asked``."""
    keys = sorted(set(recorded) | set(asked))
    return [f"{key}: {recorded.get(key)}, now {asked.get(key)}" for key in keys if recorded.get(key) != asked.get(key)]
