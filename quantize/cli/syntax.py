"""What each command takes, read off the parser."""

from __future__ import annotations

from typing import Any

from quantize.cli.arguments import Syntax


def syntax_of(command: Any, name: str) -> Syntax:
    """Return the flags, arguments and commands of a Typer command.

    Args:
        command: A command or group of Typer's parser, whose classes differ between its versions.
        name: How it is called.
    """
    valued, switches, bare = set(), set(), {"--help"}
    arguments = []
    repeats = False
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            arguments.append((parameter.metavar or parameter.name).upper())
            repeats = repeats or parameter.nargs == -1
        elif getattr(parameter, "is_flag", False):
            bare.update(parameter.opts)
        elif parameter.metavar == "true|false":
            switches.update(parameter.opts)
        else:
            valued.update(parameter.opts)
    return Syntax(
        name,
        frozenset(valued),
        frozenset(switches),
        frozenset(bare),
        tuple(arguments),
        repeats,
        {below: syntax_of(inner, f"{name} {below}") for below, inner in getattr(command, "commands", {}).items()},
    )
