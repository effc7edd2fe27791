"""Progress for a terminal or for a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from quantize.cli.terminal import STDERR, print_line
from quantize.progress import ENDED, WHOLE_RUN, Progress, duration, roughly
from quantize.quoting import quoted

_SHORT = 2.0
_BETWEEN_LINES = 5.0
_SILENCE = 8.0
"""A line is due when none was written for so long, whatever goes on."""


@contextmanager
def drawn_progress() -> Iterator[Progress]:
    """Yield a progress callback that draws on stderr: bars on a terminal, a line every few seconds elsewhere."""
    if not STDERR.is_terminal or STDERR.is_dumb_terminal:
        lines = ProgressLines(print_line, time.monotonic)
        with _heartbeat(lines):
            yield lines
        return
    bars = bars_on(STDERR, time.monotonic)
    with bars:
        yield ProgressBars(bars, time.monotonic)


def bars_on(console: Console, clock: Callable[[], float]) -> Bars:
    """Return bars that are drawn on a terminal, and taken away at the end."""
    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        _Time(),
        console=console,
        get_time=clock,
        transient=True,
        redirect_stdout=False,
    )


@contextmanager
def _heartbeat(lines: ProgressLines) -> Iterator[None]:
    """Let lines tell that a run is alive while nothing that it does reports progress."""
    ended = Event()

    def beat() -> None:
        while not ended.wait(1.0):
            lines.break_silence()

    thread = Thread(target=beat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Time(ProgressColumn):
    """About what is left of a stage, or else the time that it has taken: short enough for 80 columns."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text(duration(task.elapsed or 0.0) if left is None else f"{duration(left)} left")


@dataclass
class ProgressBars:
    """A bar for each stage under way; a stage that took long leaves a line behind."""

    bars: Bars
    clock: Callable[[], float]
    _tasks: dict[str, tuple[TaskID, float, int]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Draw that ``done`` of ``total`` steps of ``stage`` are finished."""
        with self._lock:
            task, start, last = self._tasks.get(stage, (None, self.clock(), 0))
            if task is not None and _begins_again(done, total, last):
                self.bars.remove_task(task)
                task, start = None, self.clock()
            if task is None:
                task = self.bars.add_task(quoted(stage), total=total)
            self._tasks[stage] = (task, start, done)
            self.bars.update(task, completed=done, total=total)
            if total is not None and done >= total:
                for name in _within(self._tasks, stage):
                    self.bars.remove_task(self._tasks.pop(name)[0])
                seconds = self.clock() - start
                if seconds >= _SHORT:
                    self.bars.console.print(_finished(stage, total, seconds), markup=False)


@dataclass
class ProgressLines:
    """A line every few seconds, and one at the end of a stage that took long; each says what is left of the run."""

    write: Callable[[str], None]
    clock: Callable[[], float]
    _started: dict[str, tuple[float, int, int | None]] = field(default_factory=dict)
    _told: dict[str, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _line: float = field(init=False)
    _latest: str | None = None
    _ended: str | None = None
    _end: float | None = None

    def __post_init__(self) -> None:
        """Begin: silence counts from now."""
        self._line = self.clock()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Tell that ``done`` of ``total`` steps of ``stage`` are finished, unless the last line is fresh."""
        with self._lock:
            now = self.clock()
            if stage == WHOLE_RUN:
                self._end = None if total is None else now + total - done
                return
            self._latest = stage
            start, last, _ = self._started.get(stage, (now, 0, None))
            if _begins_again(done, total, last):
                start = now
                self._told.pop(stage, None)
            self._started[stage] = (start, done, total)
            if total is not None and done >= total:
                for name in _within(self._started, stage):
                    del self._started[name]
                    self._told.pop(name, None)
                self._latest, self._ended = next(reversed(self._started), None), stage
                if now - start >= _SHORT:
                    self._write(_finished(stage, total, now - start), now)
            elif now - self._told.setdefault(stage, start) >= _BETWEEN_LINES:
                self._told[stage] = now
                self._write(_under_way(stage, done, total, now - start), now, _left(done, total, now - start))

    def break_silence(self) -> None:
        """Tell that the work goes on, where nothing was told for long; any thread may call it."""
        with self._lock:
            now = self.clock()
            if now - self._line >= _SILENCE:
                self._write(*self._at_work(now))

    def _at_work(self, now: float) -> tuple[str, float, float]:
        """Return what is known of the latest work that is under way, else what it comes after, for ``_write``."""
        if self._latest is None:
            return "at work" if self._ended is None else f"after {quoted(self._ended)}: at work", now, 0.0
        start, done, total = self._started.get(self._latest, (now, 0, None))
        text = _under_way(self._latest, done, total, now - start) if done else f"{quoted(self._latest)}: at work"
        return text, now, _left(done, total, now - start)

    def _write(self, text: str, now: float, least: float = 0.0) -> None:
        """Write a line with what is left of the run, which is never less than what is left of its stage."""
        left = None if self._end is None else max(self._end - now, least)
        self._line = now
        self.write(text if left is None or left <= 0 else f"{text}; about {roughly(left)} of the whole run left")


def _begins_again(done: int, total: int | None, last: int) -> bool:
    """Return whether it is the same kind of work again, where nobody knew when the first ended."""
    return done < last and (done, total) != ENDED


def _within(stages: Mapping[str, object], stage: str) -> Sequence[str]:
    """Return a stage that has ended, and what began within it and did not say that it ended."""
    names = list(stages)
    return [name for name in names[names.index(stage) :] if name == stage or name != WHOLE_RUN]


def _finished(stage: str, total: int, seconds: float) -> str:
    if total == ENDED[1]:
        return f"{quoted(stage)}: done in {duration(seconds)}"
    return f"{quoted(stage)}: {total} done in {duration(seconds)}"


def _under_way(stage: str, done: int, total: int | None, seconds: float) -> str:
    if not total:
        return f"{quoted(stage)}: {done} done after {duration(seconds)}"
    left = f", about {duration(_left(done, total, seconds))} left" if done else ""
    return f"{quoted(stage)}: {done} of {total} ({100 * done / total:.0f} %){left}"


def _left(done: int, total: int | None, seconds: float) -> float:
    """Return the seconds that are left of a stage, as far as its pace tells."""
    return seconds * (total - done) / done if total and done else 0.0
