"""Command lines, checked and brought to one form before they are parsed.

``--key=value`` and ``--key value``, underscores and dashes are the same; what is not known is answered with the
nearest right name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from quantize.config.nearest import nearest, one_of
from quantize.errors import ConfigError

_NUMBER = re.compile(r"-[0-9.]")
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True)
class Syntax:
    """What a command takes.

    Attributes:
        name: The command, as it is called.
        valued: Flags that take a value.
        switches: Flags that take ``true`` or ``false``, or nothing, for true.
        bare: Flags that take nothing.
        arguments: Names of its plain arguments, in order; the last may repeat where ``repeats``.
        repeats: Whether the last plain argument takes all that follow.
        commands: The commands below it.
    """

    name: str
    valued: frozenset[str] = frozenset()
    switches: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()
    arguments: tuple[str, ...] = ()
    repeats: bool = False
    commands: Mapping[str, Syntax] = field(default_factory=dict)

    @property
    def flags(self) -> list[str]:
        """Return every flag, sorted."""
        return sorted(self.valued | self.switches | self.bare)


def normalized(arguments: Sequence[str], syntax: Syntax) -> list[str]:
    """Return the arguments as ``--flag=value``, flags with underscores, each flag known and with a value.

    Raises:
        ConfigError: A flag, command or argument is not known, a value is missing, or one is too much.
    """
    words: list[str] = []
    rest = list(arguments)
    while syntax.commands and rest and not rest[0].startswith("-"):
        words.append(rest[0])
        syntax = _command(rest.pop(0), syntax)
    plain: list[str] = []
    flags: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            plain += rest
            break
        if word.startswith("-") and word != "-" and not _NUMBER.match(word):
            flags += _flag(word, rest, syntax)
        else:
            plain.append(word)
    if "--help" not in flags:
        _check_plain(plain, syntax)
    return words + flags + (["--", *plain] if plain else [])


def _command(word: str, syntax: Syntax) -> Syntax:
    if word in syntax.commands:
        return syntax.commands[word]
    meant = nearest(word, syntax.commands)
    raise ConfigError(
        f"there is no command {word!r}",
        expected=one_of(syntax.commands),
        advice=f"did you mean `{syntax.name} {meant}`?" if meant else f"see `{syntax.name} --help`",
    )


def _flag(word: str, rest: list[str], syntax: Syntax) -> list[str]:
    """Return a flag with its value as one word, taking the value from ``rest`` where it stands apart."""
    written, equals, value = word.partition("=")
    if written == "-h":
        written = "--help"
    flag = "--" + written[2:].replace("-", "_") if written.startswith("--") else written
    if flag.startswith("--no_") and "--" + flag[5:] in syntax.switches and not equals:
        return [f"--{flag[5:]}=false"]
    if flag in syntax.bare:
        return [flag] if not equals or _truth(flag, value) else []
    if flag in syntax.switches:
        if not equals:
            apart = rest and (rest[0].lower() in _TRUTH or not (syntax.arguments or rest[0].startswith("-")))
            value = rest.pop(0) if apart else "true"
        return [f"{flag}={'true' if _truth(flag, value) else 'false'}"]
    if flag not in syntax.valued:
        raise _unknown(written, syntax)
    if not equals and rest and not _is_flag(rest[0], syntax):
        value = rest.pop(0)
    if not value:
        raise ConfigError("no value", where=flag, expected=f"{flag}=VALUE, or {flag} VALUE")
    return [f"{flag}={value}"]


def _is_flag(word: str, syntax: Syntax) -> bool:
    flag = "--" + word.partition("=")[0][2:].replace("-", "_")
    return word == "--" or (word.startswith("--") and flag in syntax.valued | syntax.switches | syntax.bare)


def _truth(flag: str, value: str) -> bool:
    if value.lower() not in _TRUTH:
        raise ConfigError("not a value that it takes", where=flag, found=value or "nothing", expected="true or false")
    return _TRUTH[value.lower()]


def _unknown(written: str, syntax: Syntax) -> ConfigError:
    meant = nearest(written.lstrip("-"), [flag[2:] for flag in syntax.flags])
    if meant is not None:
        return ConfigError(f"`{syntax.name}` has no such flag", where=written, advice=f"did you mean --{meant}?")
    with_it = [command.name for command in syntax.commands.values() if "--" + written.lstrip("-") in command.flags]
    advice = f"did you mean `{with_it[0]} {written}`?" if with_it else f"see `{syntax.name} --help`"
    return ConfigError(f"`{syntax.name}` has no such flag", where=written, advice=advice)


def _check_plain(plain: Sequence[str], syntax: Syntax) -> None:
    if len(plain) <= len(syntax.arguments) or syntax.repeats:
        return
    word = plain[len(syntax.arguments)]
    flag = "--" + word.partition("=")[0].replace("-", "_")
    raise ConfigError(
        f"`{syntax.name}` takes no such argument",
        where=word,
        expected=f"{syntax.name} {' '.join(syntax.arguments)}".rstrip() + " and flags",
        advice=f"did you mean --{word}?" if flag in syntax.flags else f"see `{syntax.name} --help`",
    )
