"""Progress where nobody asked for a callback: a bar in a notebook or a terminal, silence elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

from quantize.progress import Progress, silent

_BETWEEN_SECONDS = 0.2


@contextmanager
def shown(progress: Progress | None) -> Iterator[Progress]:
    """Yield the given callback, or one that draws where a person looks on."""
    if progress is not None:
        yield progress
    elif (display := _notebook_display()) is not None:
        with NotebookBar(display) as bar:
            yield bar
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress as Bars

        with Bars(console=Console(stderr=True), transient=True) as bars:
            yield TerminalBar(bars)
    else:
        yield silent


class TerminalBar:
    """The stage under way as one bar."""

    def __init__(self, bars: Any) -> None:
        self._bars, self._stage = bars, ""
        self._task = bars.add_task("", total=None)

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Draw that ``done`` of ``total`` steps of ``stage`` are finished."""
        if stage != self._stage:
            self._stage = stage
            self._bars.reset(self._task, description=stage.replace("[", r"\["))
        self._bars.update(self._task, completed=done, total=total)


class NotebookBar:
    """The stage under way as the output of a notebook's cell, which is cleared at the end.

    Args:
        display: IPython's ``display``.
    """

    def __init__(self, display: Any) -> None:
        self._handle = display({"text/plain": ""}, raw=True, display_id=True)
        self._drawn = 0.0

    def __enter__(self) -> NotebookBar:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Clear the bar."""
        self._update("", "")

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Draw that ``done`` of ``total`` steps of ``stage`` are finished."""
        now = time.monotonic()
        if done != total and now - self._drawn < _BETWEEN_SECONDS:
            return
        self._drawn = now
        share = "" if total is None else f" value='{done}' max='{max(total, 1)}'"
        text = f"{stage}: {done}" if total is None else f"{stage}: {done} of {total}"
        self._update(text, f"<progress{share}></progress> {escape(text)}")

    def _update(self, text: str, html: str) -> None:
        self._handle.update({"text/plain": text, "text/html": html}, raw=True)


def _notebook_display() -> Any:
    """Return IPython's ``display`` in a notebook; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or "IPKernelApp" not in shell.config:
        return None
    return import_module("IPython.display").display
