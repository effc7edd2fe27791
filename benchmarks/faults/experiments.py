"""Each way to break a run off, and the judgement of what came of it."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from faults.processes import Command, Done, Experiment, Refusal
from faults.workload import Workload, everything, journaled, outcome

_ENDED = (0, 1, 3)
_USER = 2
_INTERRUPTED = 130
_RANDOM_NAME = re.compile(r"(?<=[./_-])[a-z0-9_]{8}(?=\.part$|\.tmp$|\.scratch(?:/|$)|/|$)")
_HASH = re.compile(r"[0-9a-f]{12,64}|\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d+)?")
_TRIES = 12
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE, errno.EFBIG)


@dataclass
class Table:
    """What came of every fault: rows of the table, and the faults that came to something else than they should."""

    rows: dict[str, Counter[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Return how many faults were done."""
        return sum(sum(outcomes.values()) for outcomes in self.rows.values())

    def add(self, fault: str, came_to: str, detail: str = "") -> None:
        """Count one outcome; one that begins with ``WRONG`` is told at once."""
        self.rows.setdefault(fault, Counter())[came_to] += 1
        if came_to.startswith("WRONG"):
            self.wrong.append(f"{fault}: {came_to}: {detail}")
            print(self.wrong[-1], flush=True)


@dataclass(frozen=True)
class Site:
    """A place in the code that writes: a function and the pattern of the files that it is called on."""

    function: str
    pattern: str


Act = Callable[[Path], None]
"""Something that is done to a run's place."""


def _nothing(_: Path) -> None:
    pass


def broken(
    table: Table,
    fault: str,
    work: Workload,
    place: Path,
    expected: tuple[object, ...],
    *,
    resumed: bool = True,
    codes: tuple[int, ...] = (),
    before: Act = _nothing,
    between: Act = _nothing,
    after: Act = _nothing,
    environment: Mapping[str, str] | None = None,
    **how: Any,
) -> Experiment:
    """Yield a run that something happens to, and the run that goes on; judge both.

    A run that ends before anything happened to it is done again, with the fault nearer to the run's beginning.

    Args:
        table: Receives what came of it.
        fault: The row of the table.
        work: The run.
        place: Its own folder, removed at the end unless the outcome is wrong.
        expected: What an unbroken run comes to.
        resumed: Whether a run that was broken off can be resumed.
        codes: Exit codes that are right besides those of a run that ended or told an error.
        before: Called with the folder before the run.
        between: Called before it is gone on with.
        after: Called at the end.
        environment: Variables of the run that is broken off, on top of a run's.
        how: What happens: fields of ``Command``.
    """
    inputs = everything(work.folder)
    for left in reversed(range(_TRIES)):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        command = work.command(place, **how)
        before(place)
        first = yield replace(command, environment={**command.environment, **(environment or {})})
        if first.struck or not left:
            break
        after(place)
        how = _sooner(**how)
    kept = journaled(place / "run")
    same = outcome(place / "run") == expected
    came_to = _came_to(first, same=same, codes=codes) if first.struck else "WRONG: nothing happened to it"
    if not same and (place / "run" / "report.json").exists():  # that is written last
        came_to = f"WRONG: a report of a run that is not whole, exit code {first.code}"
    detail = f"{place}: {how}\n{first.errors[-3000:]}"
    between(place)
    if not came_to.startswith("WRONG") and first.code not in _ENDED and resumed:
        second = yield work.going_on(place)
        came_to, detail = _gone_on(came_to, second, place, kept, expected), f"{detail}\n---\n{second.errors[-3000:]}"
    after(place)
    if everything(work.folder) != inputs:
        came_to = "WRONG: the inputs were changed"
    table.add(fault, came_to, detail)
    if not came_to.startswith("WRONG"):
        shutil.rmtree(place, ignore_errors=True)


def killed(work: Workload, place: Path, share: float) -> Generator[Command, Done, None]:
    """Yield a run that is killed after a share of its time; one that has ended before that is done again.

    Raises:
        RuntimeError: It ended too early every time.
    """
    for _ in range(_TRIES):
        done = yield work.command(place, kill_after=work.seconds * share)
        if done.struck:
            return
        shutil.rmtree(place / "run", ignore_errors=True)
        share *= 0.7
    raise RuntimeError(f"{place}: ended each time before it was killed")


def _sooner(*, refusal: Refusal | None = None, kill_after: float | None = None, **how: Any) -> dict[str, Any]:
    """Return what happens to a run, at an earlier call or moment."""
    if refusal is not None:
        how["refusal"] = replace(refusal, at=refusal.at // 2)
    if kill_after is not None:
        how["kill_after"] = kill_after * 0.7
    return how


@dataclass(frozen=True)
class Frame:
    """What all experiments on one engine have in common.

    Attributes:
        table: Receives what comes of them.
        work: The run that is broken off.
        expected: What an unbroken run comes to.
        place: Returns a folder for the next one.
    """

    table: Table
    work: Workload
    expected: tuple[object, ...]
    place: Callable[[], Path]

    def broken(self, fault: str, place: Path | None = None, **how: Any) -> Experiment:
        """Yield a run that something happens to, and the run that goes on; see ``broken``."""
        return broken(self.table, fault, self.work, place or self.place(), self.expected, **how)


def _came_to(done: Done, *, same: bool, codes: tuple[int, ...]) -> str:
    if "Traceback" in done.errors or "Exception ignored" in done.errors:
        return f"WRONG: a traceback, exit code {done.code}"
    if done.code in _ENDED:
        return "the result of an unbroken run" if same else "WRONG: another result, without an error"
    if done.code == _USER and "error: " in done.errors:
        return "a clear error"
    if done.code in codes:
        return "ended" if done.code < 0 else f"exit code {done.code}"
    return f"WRONG: exit code {done.code}"


def _gone_on(came_to: str, second: Done, place: Path, kept: bytes, expected: tuple[object, ...]) -> str:
    if second.code not in _ENDED:
        return f"WRONG: {came_to}, and going on ended with {second.code}"
    if not journaled(place / "run").startswith(kept):
        return f"WRONG: {came_to}, and going on lost finished steps"
    if outcome(place / "run") != expected:
        return f"WRONG: {came_to}, and going on came to another result"
    return f"{came_to}; going on gives the unbroken run's result"


def sites_of(log: Path, place: Path) -> Mapping[Site, int]:
    """Return every place that a run wrote from, with the number of its calls."""
    counts: Counter[Site] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        function, _, path = line.partition(" ")
        relative = os.path.relpath(path, place)
        pattern = _HASH.sub("*", _RANDOM_NAME.sub("?" * 8, relative))
        counts[Site(function, f"*/{pattern}")] += 1
    return counts


def at_sites(sites: Mapping[Site, int]) -> Iterator[tuple[str, Refusal]]:
    """Yield the first and the last call of every place, each with a name that is the same in every run."""
    for site, count in sites.items():
        error = errno.EIO if site.function == "sync" else errno.ENOSPC
        for at in sorted({0, count - 1}):
            name = f"{'last' if at else 'first'} {site.function} {site.pattern}"
            yield name, Refusal(at, error, site.function, site.pattern)


def at_random(draw: random.Random, calls: int, number: int) -> Iterator[Refusal]:
    """Yield refusals of calls drawn evenly from a whole run: half of them once, half of them from there on."""
    for index in range(number):
        yield Refusal(draw.randrange(calls), draw.choice(ERRORS), stays=index % 2 == 1)


def kills(draw: random.Random, seconds: float, number: int) -> Iterator[tuple[str, dict[str, Any], tuple[int, ...]]]:
    """Yield signals at moments drawn evenly from a whole run: half of them SIGKILL."""
    for index in range(number):
        sent = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGHUP)[index % 6]
        right = (-signal.SIGKILL,) if sent is signal.SIGKILL else (_INTERRUPTED,)
        yield sent.name, {"kill_after": draw.uniform(0, seconds), "signal": sent}, right
