"""What the command line writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import re
import sys
import textwrap
import traceback
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from quantize.cli.streams import forget, write_stdout
from quantize.errors import QuantizeError
from quantize.quoting import UNSEEN, sentence, visible

_WIDEST = 100
_PREFIX = len("error: ")
# What makes a CI take a line for a command: GitHub at a line's beginning and, in the older form, anywhere; Azure and
# TeamCity anywhere.
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|#(?=#(?:\w+)?\[)", re.MULTILINE)
_LABEL = re.compile(r"^( *)(found:|expected:|to do:)( +)")


class _Console(Console):
    """A console whose reader may go away."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        forget(sys.stderr)


# The one console of stderr: bars and lines do not overwrite each other when they share it. Colours only on a
# terminal, and never with NO_COLOR.
STDERR = _Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def harmless(text: str) -> str:
    """Return lines of text without what a terminal or a CI would obey: it becomes visible escapes.

    Line breaks and tabs stay: what makes the lines shows those within a value as escapes (``quantize.quoting``).
    """
    shown = "\n".join("\t".join(visible(part) for part in line.split("\t")) for line in text.split("\n"))
    return _COMMAND.sub(lambda match: f"{match[1] or ''}\\x{ord(match.group()[-1]):02x}", shown)


def print_result(text: str) -> None:
    """Write a result to stdout; a reader that has gone away does not change what the command found."""
    write_stdout(harmless(text))


def print_json(text: str) -> None:
    r"""Write JSON to stdout: the same values, with ``\u`` for what a terminal or a CI would obey."""
    safe = "\n".join(UNSEEN.sub(lambda match: json.dumps(match.group())[1:-1], line) for line in text.split("\n"))
    write_stdout(_COMMAND.sub(r"\\u0023", safe))


def print_command(command: str) -> None:
    """Write a command for the CI to stdout, which was made of harmless parts."""
    write_stdout(command)


def print_error(error: QuantizeError) -> None:
    """Write what the user can fix to stderr."""
    _write(_laid_out(harmless(str(error))), first="error: ", style="bold red")


def print_notes(notes: Iterable[str]) -> None:
    """Write remarks that the user should know of to stderr."""
    for note in notes:
        _write(_wrapped(harmless(sentence(note)), indent=2), first="note: ", style="yellow")


def print_line(text: str) -> None:
    """Write a line of the log to stderr."""
    _write(harmless(sentence(text)))


def print_traceback(error: BaseException) -> None:
    """Write an error's traceback to stderr."""
    _write(harmless("".join(traceback.format_exception(error)).rstrip("\n")))


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
