"""A table of faults that is recorded in a file as it grows: what is in it is not done again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from faults.experiments import Table
from faults.processes import Done, Experiment

_END = -1
"""The number of the line behind the last experiment."""


class RecordedTable(Table):
    """A part of the table: a line for each outcome, with the name or number of its experiment.

    Args:
        path: The file; each part of each engine has its own.
        into: The whole table, which receives every outcome too, those of the file first.

    Attributes:
        is_whole: Whether every experiment is in the file.
    """

    def __init__(self, path: Path, into: Table) -> None:
        super().__init__()
        self._path, self._into = path, into
        self._at_work: int | str = 0
        self._done: set[int | str] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.is_whole = False
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            name, *outcome = json.loads(line)
            self._done.add(name)
            self.is_whole = self.is_whole or name == _END
            if name != _END:
                into.add(*outcome)

    def add(self, fault: str, came_to: str, detail: str = "") -> None:
        """Record one outcome of the experiment that is at work."""
        self._write([self._at_work, fault, came_to, detail if came_to.startswith("WRONG") else ""])
        self._into.add(fault, came_to, detail)

    def missing(self, experiments: Iterable[tuple[int | str, Experiment]]) -> Iterator[Experiment]:
        """Yield the experiments of which the file holds nothing, given with their names or numbers."""
        for name, experiment in experiments:
            if name not in self._done:
                yield self._named(name, experiment)

    def end(self) -> None:
        """Record that all experiments are done."""
        if not self.is_whole:
            self._write([_END])
        self.is_whole = True

    def _write(self, line: list[object]) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def _named(self, name: int | str, experiment: Experiment) -> Experiment:
        done: Done | None = None
        while True:
            self._at_work = name
            try:
                command = next(experiment) if done is None else experiment.send(done)
            except StopIteration:
                return
            done = yield command
