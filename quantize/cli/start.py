"""The first lines of the console script: from here on a signal ends a command as Ctrl-C does, imports included."""

from __future__ import annotations

import sys

from quantize.cli.help_pages import page_asked_for
from quantize.cli.signals import interrupt_on_termination
from quantize.cli.streams import prepare_streams, write_stdout


def run() -> None:
    """Run the command line of this process, and leave with its exit code."""
    with interrupt_on_termination() as received:
        try:
            if _has_helped():
                return
            from quantize.cli.main import run as run_command

            run_command()
        except KeyboardInterrupt:  # while it was being loaded, or once more while the command was being ended
            _interrupted()
        except Exception:
            if received.last is None:
                raise
            _interrupted()  # native code that was being loaded made another error of it


def _interrupted() -> None:
    from quantize.errors import ExitCode

    sys.exit(int(ExitCode.INTERRUPTED))


def _has_helped() -> bool:
    """Print the help that was asked for, if it was; whether that is done."""
    page = page_asked_for(sys.argv[1:])
    if page is None:
        return False
    prepare_streams()
    try:
        write_stdout(page)
    except OSError:  # a full disk: the rest of the command line tells
        return False
    return True
