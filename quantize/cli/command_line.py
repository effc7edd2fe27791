"""Command-line arguments, normalized and checked (known flags, no missing values) before Typer parses them.

``--key=value`` and ``--key value``, underscores and dashes are the same; an unknown word is answered with the nearest
known one.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from quantize.cli.help_text import HELP_SETTINGS, write_panels, write_usage
from quantize.cli.options import parsed_command
from quantize.errors import ConfigError, ExitCode

_NUMBER = re.compile(r"-[0-9.]")
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

# Typer's contexts and parameters have another class, and another home, in each of its versions.
Context = Any


class Command(TyperCommand):
    """A command whose words are checked in this package's terms before they are parsed."""

    def format_usage(self, ctx: Context, formatter: Any) -> None:
        """Write how the command is called."""
        write_usage(self, ctx, formatter)

    def format_options(self, ctx: Context, formatter: Any) -> None:
        """Write arguments and flags, by their panels."""
        write_panels(self, ctx, formatter)

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the words behind the command's name."""
        if ctx.resilient_parsing:  # a shell completes words that are not all there yet
            return list(super().parse_args(ctx, [_spelled(word) for word in args]))
        return list(super().parse_args(ctx, Words(self, ctx.command_path, ctx.find_root().command).normalized(args)))


class Commands(TyperGroup):
    """Commands by name. Each is built when it is called: their help texts need no flags.

    Attributes:
        functions: Name to the command's function, or to a group of further commands.
    """

    functions: ClassVar[Mapping[str, Callable[..., ExitCode] | Commands]] = {}

    def __init__(self, **details: Any) -> None:
        """Make a group whose help is drawn as that of the commands."""
        super().__init__(**{"rich_markup_mode": None, "context_settings": HELP_SETTINGS} | details)

    def format_options(self, ctx: Context, formatter: Any) -> None:
        """Write the group's flags and its commands."""
        write_panels(self, ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(command)) for name, command in self.functions.items()])

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the words before a command's name: only flags of the group."""
        if args and args[0].startswith("-") and not ctx.resilient_parsing:
            args = Words(self, ctx.command_path, ctx.find_root().command).normalized(args)
        return list(super().parse_args(ctx, args))

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 - Typer's signature
        """Return the names, in the order of the help."""
        return list(self.functions)

    def get_command(self, ctx: Context, cmd_name: str) -> Any:  # noqa: ARG002 - Typer's signature
        """Return a command that has its help text and no flags."""
        command = self.functions[cmd_name]
        return command if isinstance(command, Commands) else TyperCommand(cmd_name, help=_help(command))

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:
        """Return the command that is called, with all its flags.

        Raises:
            ConfigError: There is none of this name.
        """
        name, *rest = args
        if name not in self.functions and ctx.resilient_parsing:
            return None, None, rest
        if name not in self.functions:
            from quantize.config.nearest import nearest, one_of

            meant = nearest(name, self.functions)
            raise ConfigError(
                f"unknown command {name!r}",
                expected=one_of(self.functions),
                advice=f"did you mean `{ctx.command_path} {meant}`?" if meant else f"see `{ctx.command_path} --help`",
            )
        return name, self.built(name), rest

    def built(self, name: str) -> Any:
        """Return the command of a name, with all its flags."""
        command = self.functions[name]
        return command if isinstance(command, Commands) else _built(name, command)


@cache
def _built(name: str, function: Callable[..., ExitCode]) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command, help=_help(function), context_settings=HELP_SETTINGS)(parsed_command(function))
    return typer.main.get_command(app)


def _help(function: Callable[..., Any]) -> str:
    """Return a docstring with each paragraph on one line: Typer keeps line breaks."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(function) or "")


def _summary(command: Callable[..., Any] | Commands) -> str:
    """Return the first paragraph of a command's help."""
    return str((command.help or "") if isinstance(command, Commands) else _help(command)).split("\n\n")[0]


class Words:
    """What a command takes, and its words in one form.

    Attributes:
        name: How the command is called.
        valued: Flags that take a value.
        switches: Flags that take ``true`` or ``false``, or nothing, for true.
        bare: Flags that take nothing.
    """

    def __init__(self, command: Any, name: str, root: Any = None) -> None:
        """Read it off a command or group of Typer's.

        Args:
            command: The command or group.
            name: How it is called.
            root: The group of all commands, whose flags unknown ones are looked for in; None: the command itself.
        """
        self.name, self._command, self._root = name, command, command if root is None else root
        self.valued: set[str] = set()
        self.switches: set[str] = set()
        self.bare = {"--help"}
        self._arguments: list[str] = []
        self._repeats = False
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                self._arguments.append((parameter.metavar or parameter.name).upper())
                self._repeats |= parameter.nargs == -1
            elif getattr(parameter, "is_flag", False):
                self.bare.update(parameter.opts)
            elif parameter.metavar == "true|false":
                self.switches.update(parameter.opts)
            else:
                self.valued.update(parameter.opts)

    @property
    def flags(self) -> list[str]:
        """Return every flag, sorted."""
        return sorted(self.valued | self.switches | self.bare)

    def normalized(self, words: Sequence[str]) -> list[str]:
        """Return the words as ``--flag=value``, flags with underscores, then plain arguments behind ``--``.

        Raises:
            ConfigError: A flag or argument is not known, a value is missing, or one is too much.
        """
        plain: list[str] = []
        flags: list[str] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                plain += rest
                break
            if word.startswith("-") and word != "-" and not _NUMBER.match(word):
                flags += self._flag(word, rest)
            else:
                plain.append(word)
        if "--help" not in flags:
            self._check_plain(plain)
        return flags + (["--", *plain] if plain else [])

    def _flag(self, word: str, rest: list[str]) -> list[str]:
        """Return a flag with its value as one word, taking the value from ``rest`` where it stands apart."""
        written, equals, value = word.partition("=")
        if written == "-h":
            written = "--help"
        flag = _spelled(written) if written.startswith("--") else written
        if flag.startswith("--no_") and "--" + flag[5:] in self.switches and not equals:
            return [f"--{flag[5:]}=false"]
        if word in self.bare:  # Typer's own, such as --install-completion
            return [word]
        if flag in self.bare:
            return [flag] if not equals or _truth(flag, value) else []
        if flag in self.switches:
            if not equals:
                apart = rest and (rest[0].lower() in _TRUTH or not (self._arguments or rest[0].startswith("-")))
                value = rest.pop(0) if apart else "true"
            return [f"{flag}={'true' if _truth(flag, value) else 'false'}"]
        if flag not in self.valued:
            raise self._unknown(written)
        if not equals and rest and rest[0] != "--" and _spelled(rest[0].partition("=")[0]) not in self.flags:
            value = rest.pop(0)
        if not value:
            raise ConfigError("no value", where=flag, expected=f"{flag}=VALUE, or {flag} VALUE")
        return [f"{flag}={value}"]

    def _unknown(self, written: str) -> ConfigError:
        from quantize.config.nearest import nearest

        flag = _spelled(written)
        opposite = f"--no_{flag[2:]}"
        meant = opposite[2:] if opposite in self.flags else nearest(flag[2:], [known[2:] for known in self.flags])
        advice = f"did you mean --{meant}?" if meant else f"see `{self.name} --help`"
        takers = [] if opposite in self.flags else self._takers(flag)
        if takers and isinstance(self._command, Commands):
            advice = f"did you mean `{takers[0]} {written}`?"
        elif takers and _is_setting(flag):
            only = f"{', '.join(f'`{name}`' for name in takers)} {'takes' if len(takers) == 1 else 'take'}"
            advice = f"leave it out: only {only} it"
            return ConfigError(f"no effect here: `{self.name}` does not use this setting", where=written, advice=advice)
        return ConfigError(f"`{self.name}` has no such flag", where=written, advice=advice)

    def _takers(self, flag: str) -> list[str]:
        """Return the commands that take a flag."""
        root = self._root
        every = _commands_of(root, "quantize") if isinstance(root, Commands) else ()
        return [name for name, command in every if flag in Words(command, name).flags]

    def _check_plain(self, plain: Sequence[str]) -> None:
        if len(plain) <= len(self._arguments) or self._repeats:
            return
        word = plain[len(self._arguments)]
        known = _spelled("--" + word.partition("=")[0]) in self.flags
        raise ConfigError(
            f"`{self.name}` takes no such argument",
            where=word,
            expected=f"{self.name} {' '.join(self._arguments)}".rstrip() + " and flags",
            advice=f"did you mean --{word}?" if known else f"see `{self.name} --help`",
        )


def _commands_of(group: Commands, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command below a group, with how it is called."""
    for word in group.functions:
        command, called = group.built(word), f"{name} {word}"
        if isinstance(command, Commands):
            yield from _commands_of(command, called)
        else:
            yield called, command


def _is_setting(flag: str) -> bool:
    from quantize.config.schema import settings

    return flag[2:] in {setting.flag for setting in settings()}


def _spelled(flag: str) -> str:
    return "--" + flag[2:].replace("-", "_") if flag.startswith("--") else flag


def _truth(flag: str, value: str) -> bool:
    if value.lower() not in _TRUTH:
        raise ConfigError("invalid value", where=flag, found=value or "nothing", expected="true or false")
    return _TRUTH[value.lower()]
