"""The console script: parses the command line, runs one command and turns the outcome into an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from quantize.cli.benchmark import benchmark
from quantize.cli.check import baseline, check
from quantize.cli.command_line import Commands
from quantize.cli.data import data
from quantize.cli.doctor import doctor
from quantize.cli.help_pages import page_asked_for
from quantize.cli.help_text import HELP_SETTINGS
from quantize.cli.limits import refuse_narrow_limits
from quantize.cli.machine import machine
from quantize.cli.model_files import fetch, inspect, verify, zoo
from quantize.cli.package import package
from quantize.cli.predict import predict
from quantize.cli.report import report, schema
from quantize.cli.signals import Terminated, interrupt_on_termination
from quantize.cli.streams import forget, prepare_streams, write_stdout
from quantize.cli.sweep import sweep
from quantize.cli.terminal import (
    log_to_terminal,
    print_error,
    print_line,
    print_result,
    print_traceback,
)
from quantize.cli.tune import tune
from quantize.disk import refused_by_the_system
from quantize.errors import ConfigError, ExitCode, QuantizeError

COMMANDS: dict[str, Callable[..., ExitCode] | Commands] = {
    "tune": tune,
    "sweep": sweep,
    "benchmark": benchmark,
    "report": report,
    "check": check,
    "inspect": inspect,
    "verify": verify,
    "predict": predict,
    "doctor": doctor,
    "machine": machine,
    "package": package,
    "fetch": fetch,
    "zoo": zoo,
    "schema": schema,
    "baseline": baseline,
    "data": data,
}
"""Every command, in the order of the help."""


class _Quantize(Commands):
    functions = COMMANDS


app = typer.Typer(
    name="quantize",
    cls=_Quantize,
    help="Quantize ONNX image classifiers to int8 for onnxruntime on CPU: tune, measure, compare.",
    add_completion=True,
    rich_markup_mode=None,
    context_settings=HELP_SETTINGS,
)


@app.callback(invoke_without_command=True)
def _quantize(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> Callable[[], ExitCode] | None:
    if version:
        return lambda: _print(f"quantize {_version()}")
    if context.invoked_subcommand is None:
        text = context.get_help()
        return lambda: _print(text)
    return None


def run() -> None:
    """Run the command line of this process, and leave with its exit code."""
    prepare_streams()
    code = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            forget(stream)
        except OSError as error:
            forget(stream)
            print_line(f"error: {stream.name}: {error.strerror}")
            code = ExitCode.worst([code, ExitCode.USER])
    if code is ExitCode.INTERRUPTED:
        # A thread that was waited for when the signal came may still be inside onnxruntime, and Python takes it for
        # ended: its wait was broken off. To take the interpreter down around it aborts the process.
        os._exit(int(code))
    sys.exit(int(code))


def main(arguments: Sequence[str]) -> ExitCode:
    """Run one command and return its exit code; only a bug leaves a traceback.

    Args:
        arguments: The command line without the program's name.
    """
    log_to_terminal()
    with interrupt_on_termination() as received:
        try:
            page = page_asked_for(arguments)
            if page is not None:
                write_stdout(page)
                return ExitCode.DONE
            refuse_narrow_limits()
            return parse(arguments)()
        except QuantizeError as error:
            print_error(error)
            return error.exit_code
        except KeyboardInterrupt as error:
            return _interrupted(terminated=isinstance(error, Terminated))
        except BrokenPipeError:
            forget(sys.stdout)
            return ExitCode.DONE
        except Exception as error:  # noqa: BLE001 - the end of the line: what is no user's mistake is a bug
            if received.last is not None:  # numpy and pydantic make an error of their own of it while they are imported
                return _interrupted(terminated=received.last is not signal.SIGINT)
            return _failed(error)


def parse(arguments: Sequence[str]) -> Callable[[], ExitCode]:
    """Return the command that a command line names, with its values read, ready to be run.

    Raises:
        ConfigError: The command line is wrong.
    """
    _refuse_what_is_no_text(arguments)
    command = typer.main.get_command(app)
    try:
        parsed = command.main(args=list(arguments), prog_name="quantize", standalone_mode=False)
    except SystemExit:  # rich, when the reader of the help has gone away
        forget(sys.stdout)
        return lambda: ExitCode.DONE
    except Exception as error:
        # Typer's usage errors have another class, and another home, in each of its versions.
        if hasattr(error, "format_message") and getattr(error, "exit_code", None) == ExitCode.USER:
            place = getattr(error, "ctx", None)
            called = "quantize" if place is None else place.command_path
            raise ConfigError(error.format_message(), advice=f"see `{called} --help`") from error
        raise
    return parsed if callable(parsed) else lambda: ExitCode(parsed or 0)


def _refuse_what_is_no_text(arguments: Sequence[str]) -> None:
    """Refuse words that no report can hold: JSON is UTF-8, and what is not comes as halves of surrogate pairs.

    Where the locale knows only ASCII, UTF-8 comes so too.
    """
    for word in arguments:
        try:
            os.fsencode(word).decode("utf-8")
        except UnicodeError:
            advice = "rename the file or folder"
            raise ConfigError("not UTF-8 text", where=word, expected="UTF-8", advice=advice) from None


def _interrupted(*, terminated: bool) -> ExitCode:
    print_line("terminated by a signal" if terminated else "interrupted")
    return ExitCode.INTERRUPTED


def _failed(error: Exception) -> ExitCode:
    refused = refused_by_the_system(error)
    if refused is not None:
        print_error(refused)
        return refused.exit_code
    print_traceback(error)
    print_line(f"this is a bug in quantize {_version()}: please report it with the lines above")
    return ExitCode.BUG


def _print(text: str) -> ExitCode:
    print_result(text)
    return ExitCode.DONE


def _version() -> str:
    from importlib import metadata

    return metadata.version("quantize")
