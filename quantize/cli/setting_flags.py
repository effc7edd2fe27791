"""Flags made from the settings, so that a key, its default and its help text are written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Annotated, Any

import typer

from quantize.config.schema import Setting, settings

_PANELS = (
    ("data", "Images"),
    ("preprocessing", "Preprocessing"),
    ("quantization", "Quantization"),
    ("tuning", "Goal and search"),
    ("evaluation", "Measurement"),
    ("", "Model"),
)
FILES, RUN = "Files", "Run"
_ORDER = (FILES, "Images", "Preprocessing", "Model", "Goal and search", "Quantization", "Measurement", RUN)


def settings_below(*keys: str) -> tuple[Setting, ...]:
    """Return the settings below the given blocks (or with these very keys), in the order of the models."""
    return tuple(
        setting
        for setting in settings()
        if any(setting.key == key or setting.key.startswith(f"{key}.") for key in keys)
    )


def with_settings(chosen: Sequence[Setting]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command a flag for each setting; the command gets them as ``overrides``, by dotted key.

    Args:
        chosen: The settings.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True).parameters
        parameters = [parameter for parameter in own.values() if parameter.name != "overrides"]
        parameters += [_parameter(setting) for setting in chosen]
        parameters.sort(key=_panel)

        def with_flags(**values: Any) -> Any:
            overrides = {setting.key: values.pop(_name(setting)) for setting in chosen}
            return command(overrides=overrides, **values)

        with_flags.__name__, with_flags.__doc__ = command.__name__, command.__doc__
        with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_flags

    return decorate


def _parameter(setting: Setting) -> inspect.Parameter:
    option = typer.Option(
        f"--{setting.flag}",
        metavar=setting.expected.metavar,
        help=_help(setting),
        show_default=False,
        rich_help_panel=next(title for block, title in _PANELS if setting.key.startswith(block)),
    )
    return inspect.Parameter(
        _name(setting), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )


def _panel(parameter: inspect.Parameter) -> int:
    (option,) = parameter.annotation.__metadata__
    return _ORDER.index(option.rich_help_panel)


def _name(setting: Setting) -> str:
    return f"setting_{setting.flag}"


def _help(setting: Setting) -> str:
    """Return the description, with the choices where the value's place is too short for them, and the default."""
    text = setting.description
    if setting.expected.metavar == "NAME":
        text = f"{text} Takes {setting.expected.text}."
    default = setting.default
    if default is None or isinstance(default, PurePath) or not isinstance(default, str | int | float | tuple):
        return text
    value = ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return f"{text} (default: {value.lower() if isinstance(default, bool) else value})"
