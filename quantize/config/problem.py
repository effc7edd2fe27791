"""A problem with a setting, and how several problems become one error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from quantize.errors import ConfigError

_SHOWN = 10


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: ``file:line:column`` or a flag.
        problem: What is wrong, with the key's full name.
        found: The value there.
        expected: What should.
        advice: What to do.
    """

    where: str
    problem: str
    found: str | None = None
    expected: str | None = None
    advice: str | None = None

    def error(self) -> ConfigError:
        """Return the problem as an error."""
        return ConfigError(self.problem, where=self.where, found=self.found, expected=self.expected, advice=self.advice)


def error_of(problems: Sequence[Problem]) -> ConfigError:
    """Return one error for one problem or many: the first ten, and the count."""
    if len(problems) == 1:
        return problems[0].error()
    rest = f"; the first {_SHOWN}" if len(problems) > _SHOWN else ""
    parts = [problem.error() for problem in problems[:_SHOWN]]
    return ConfigError(f"{len(problems)} settings are wrong{rest}:", parts=parts)


def in_file_order(problems: Sequence[Problem]) -> list[Problem]:
    """Return problems in the order of the file's lines; those without a line, such as a flag's, come last."""
    return sorted(problems, key=_line_and_column)


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as the user writes it."""
    return ".".join(str(part) for part in path)


def shown(value: object) -> str:
    """Return a value as messages show it: as YAML would have it, on one line, not too long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"the text {value!r}" if isinstance(value, str) else str(value)
    if isinstance(value, dict):
        text = f"a block with {', '.join(str(key) for key in value) or 'nothing in it'}"
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(str(item) for item in value)}]"
    return text if len(text) <= 100 else text[:97] + "..."


def _line_and_column(problem: Problem) -> tuple[bool, int, int]:
    numbers = re.search(r":(\d+):(\d+)$", problem.where)
    return (False, int(numbers[1]), int(numbers[2])) if numbers else (True, 0, 0)
