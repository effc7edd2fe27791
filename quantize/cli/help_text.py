"""How a command's help is drawn: its flags by panels, a line each, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

WIDTH = 80
HELP_SETTINGS: dict[str, Any] = {"help_option_names": ["--help"], "terminal_width": WIDTH, "max_content_width": WIDTH}
"""For the contexts of all commands: the same help on every terminal."""

_COLUMN = 28
_OTHERS = "Options"


def write_usage(command: Any, context: Any, formatter: Any) -> None:
    """Write how a command is called: its arguments, then flags.

    Args:
        command: A command of Typer's.
        context: Its context.
        formatter: Gains the text.
    """
    formatter.write_usage(context.command_path, " ".join([*_arguments(command, context), "[OPTIONS]"]))


def _arguments(command: Any, context: Any) -> Iterator[str]:
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            yield parameter.metavar if parameter.required else f"[{parameter.metavar}]"


def write_panels(command: Any, context: Any, formatter: Any) -> None:
    """Write arguments and flags with their help, panel by panel.

    Args:
        command: A command or group of Typer's.
        context: Its context.
        formatter: Gains the text.
    """
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        is_argument = parameter.param_type_name == "argument"
        panel = parameter.rich_help_panel if hasattr(parameter, "rich_help_panel") else None
        name = "Arguments" if is_argument and panel is None else panel or _OTHERS
        panels.setdefault(name, []).append((_shown(parameter), parameter.help or ""))
    for name in sorted(panels, key=lambda panel: panel == _OTHERS):  # those without a panel of their own come last
        with formatter.section(name):
            formatter.write_dl(panels[name], col_max=_COLUMN)


def _shown(parameter: Any) -> str:
    """Return an argument, or a flag with a word for its value."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    takes_nothing = parameter.is_flag or not (parameter.metavar or "").strip()
    return parameter.opts[0] if takes_nothing else f"{parameter.opts[0]} {parameter.metavar}"
