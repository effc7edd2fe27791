"""Typed options and arguments of the commands, generated from annotations and from the settings models.

A command is a function. What is special to it stands in its signature, as ``Annotated[KIND, Option(HELP)]`` with one of
``quantize.config.values`` or a ``Literal`` as the kind; the settings that it takes come from ``takes_settings``. The
kinds are imported only when a command is built, so that ``quantize --help`` need not load them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer

from quantize.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from quantize.config.schema import Setting

FILES, RUN = "Files", "Run"
_PANELS = {
    "data": "Images",
    "preprocessing": "Preprocessing",
    "model": "Model",
    "tuning": "Goal and search",
    "quantization": "Quantization",
    "evaluation": "Measurement",
}
_ORDER = (FILES, *_PANELS.values(), RUN)


@dataclass(frozen=True)
class Option:
    """A flag of one command, named as its parameter.

    Attributes:
        help: What it decides.
        metavar: What the help shows for its value; None: the kind's own word.
        panel: Where the help lists it.
        default: The text that stands for a flag that is not given, where the help shows it as a person would write it.
    """

    help: str
    metavar: str | None = None
    panel: str | None = None
    default: str | None = None


@dataclass(frozen=True)
class Argument:
    """A plain argument of a command; the attributes are those of ``Option``."""

    help: str
    metavar: str
    panel: str | None = None
    default: None = None


def takes_settings(*keys: str) -> Callable[[Callable[..., ExitCode]], Callable[..., ExitCode]]:
    """Give a command a flag for each setting; it gets their texts as ``overrides``, by dotted key.

    The texts are read with the file's values, by the same models: ``quantize.config.load_config``.

    Args:
        keys: Blocks, or single settings; none: all settings.
    """

    def mark(command: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
        command.settings = keys  # type: ignore[attr-defined]
        return command

    return mark


def settings_of(command: Callable[..., ExitCode]) -> tuple[Setting, ...] | None:
    """Return the settings that a command takes, in the order of the models; None where it takes none."""
    keys = getattr(command, "settings", None)
    if keys is None:
        return None
    from quantize.config.schema import settings

    return tuple(
        setting
        for setting in settings()
        if not keys or any(setting.key == key or setting.key.startswith(f"{key}.") for key in keys)
    )


def parsed_command(command: Callable[..., ExitCode]) -> Callable[..., Callable[[], ExitCode]]:
    """Return a function for Typer whose signature has every flag, and which returns the command, ready to be run."""
    chosen = settings_of(command)
    parameters = list(_own_parameters(command))
    if chosen is not None:
        parameters = [*parameters, *map(_setting_parameter, chosen)]
        parameters.sort(key=_place_in_help)

    def parsed(**values: Any) -> Callable[[], ExitCode]:
        if chosen is not None:
            values["overrides"] = {setting.key: values.pop(_setting_name(setting)) for setting in chosen}
        return lambda: command(**values)

    parsed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    parsed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return parsed


def _place_in_help(parameter: inspect.Parameter) -> int:
    panel = parameter.annotation.__metadata__[0].rich_help_panel
    return -1 if panel is None else _ORDER.index(panel)  # arguments come first


def _own_parameters(command: Callable[..., ExitCode]) -> Iterator[inspect.Parameter]:
    from quantize.config import values

    for parameter in inspect.signature(command, eval_str=True, locals=vars(values)).parameters.values():
        if parameter.name == "overrides":
            continue
        bare, *metadata = get_args(parameter.annotation)
        kind = Annotated[(bare, *metadata[:-1])] if metadata[:-1] else bare
        yield _parameter(parameter, kind, metadata[-1])


def _parameter(parameter: inspect.Parameter, kind: Any, stated: Option | Argument) -> inspect.Parameter:
    from quantize.config.annotations import choices_of, expected_of

    many = get_origin(kind) is list
    default = parameter.default if stated.default is None else stated.default
    where = stated.metavar if isinstance(stated, Argument) else f"--{parameter.name}"
    text = stated.help
    if isinstance(default, int | str) and not isinstance(default, bool):
        text = f"{text} (default: {default})"
    details: dict[str, Any] = {
        "help": text,
        "rich_help_panel": stated.panel,
        "show_default": False,
        "metavar": " " if kind is bool else stated.metavar or expected_of(kind).metavar,
    }
    if choices := choices_of(kind):
        details["autocompletion"] = _completion(choices)
    if kind is not bool:
        details["parser"] = _parser(where.removesuffix("..."), get_args(kind)[0] if many else kind)
    info: Any = typer.Argument(**details) if isinstance(stated, Argument) else typer.Option(where, **details)
    plain = bool if kind is bool else list[str] if many else str if default is parameter.empty else str | None
    return parameter.replace(kind=parameter.KEYWORD_ONLY, default=default, annotation=Annotated[plain, info])


def _parser(where: str, kind: Any) -> Callable[[str], Any]:
    """Return what reads the text of a flag as its kind.

    Args:
        where: The flag with its dashes, or the argument's name, for errors.
        kind: One of ``quantize.config.values``, or a Literal.
    """
    from pydantic import TypeAdapter, ValidationError

    from quantize.config.annotations import choices_of, expected_of
    from quantize.config.nearest import nearest
    from quantize.config.problem import shown
    from quantize.config.pydantic_words import what_is_wrong

    def text(given: str) -> Any:  # its name is what Typer calls the type
        try:
            return TypeAdapter(kind).validate_python(given)
        except ValidationError as error:
            meant = nearest(given, choices_of(kind))
            raise ConfigError(
                what_is_wrong(dict(error.errors()[0])),
                where=where,
                found=shown(given),
                expected=expected_of(kind).text,
                advice=f"did you mean `{meant}`?" if meant else None,
            ) from None

    return text


def _setting_parameter(setting: Setting) -> inspect.Parameter:
    block = setting.key.partition(".")[0]
    option = typer.Option(
        f"--{setting.flag}",
        metavar=setting.expected.metavar,
        help=_setting_help(setting),
        show_default=False,
        autocompletion=_completion(setting.choices) if setting.choices else None,
        rich_help_panel=_PANELS.get(block, _PANELS["model"]),
    )
    return inspect.Parameter(
        _setting_name(setting), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )


def _completion(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Return what completes the value of a flag in a shell."""

    def starting(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return starting


def _setting_name(setting: Setting) -> str:
    return f"setting_{setting.flag}"


def _setting_help(setting: Setting) -> str:
    """Return the description, with the choices where the metavar is too short for them, and the default."""
    text = setting.description
    if setting.expected.metavar == "NAME":
        text = f"{text} Takes {setting.expected.text}."
    default = setting.default
    if default is None or isinstance(default, PurePath) or not isinstance(default, str | int | float | tuple):
        return text
    value = ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return f"{text} (default: {value.lower() if isinstance(default, bool) else value})"
