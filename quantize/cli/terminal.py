"""What the command line writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import textwrap
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.text import Text

from quantize.errors import QuantizeError

_WIDEST = 100
_PREFIX = len("error: ")
# Everything that moves the cursor, changes colours or writes backwards; names of files and classes can hold it.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LABEL = re.compile(r"^( *)(found:|expected:|to do:)( +)")


class _Console(Console):
    """A console whose reader may go away."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        forget(sys.stderr)


# The one console of stderr: bars and lines do not overwrite each other when they share it. Colours only on a
# terminal, and never with NO_COLOR.
STDERR = _Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def prepare_streams() -> None:
    """Make sure that no character of a message can fail to be written, and that there is something to write to."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the process's life
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the process's life
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def harmless(text: str) -> str:
    """Return text without what a terminal would obey: control characters become visible escapes."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


def print_result(text: str) -> None:
    """Write a result to stdout; a reader that has gone away does not change what the command found."""
    try:
        sys.stdout.write(harmless(text).rstrip("\n") + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        forget(sys.stdout)


def print_error(error: QuantizeError) -> None:
    """Write what the user can fix to stderr."""
    _write(_laid_out(harmless(str(error))), first="error: ", style="bold red")


def print_notes(notes: Iterable[str]) -> None:
    """Write remarks that the user should know of to stderr."""
    for note in notes:
        _write(_wrapped(harmless(note), indent=2), first="note: ", style="yellow")


def print_line(text: str) -> None:
    """Write a line of the log to stderr."""
    _write(harmless(text))


def forget(stream: TextIO) -> None:
    """Send what is still written to a closed pipe nowhere, so that leaving does not fail on it."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def log_to_terminal() -> None:
    """Show the package's log records as lines on stderr."""
    logger = logging.getLogger("quantize")
    logger.handlers[:] = [_LineHandler()]
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _LineHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        print_line(message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}")


def _write(text: str, *, first: str = "", style: str = "") -> None:
    try:
        STDERR.print(Text.assemble((first, style), text))
    except BrokenPipeError:
        forget(sys.stderr)


def _laid_out(text: str) -> str:
    """Return an error's lines, wrapped under their labels where a person reads them."""
    return "\n".join(
        _wrapped(line, indent=label.end() if (label := _LABEL.match(line)) else len(line) - len(line.lstrip()) + 2)
        for line in text.splitlines()
    )


def _wrapped(line: str, *, indent: int) -> str:
    if not STDERR.is_terminal:  # a log or another program reads it: one fact stays one line
        return line
    text = line.lstrip()
    return "\n".join(
        textwrap.wrap(
            text,
            max(min(STDERR.width, _WIDEST) - _PREFIX, 2 * indent),
            initial_indent=line[: len(line) - len(text)],
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
