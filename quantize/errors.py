"""Errors that the user can fix, and the exit codes of every command."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from quantize.quoting import quoted, sentence


class ExitCode(IntEnum):
    """What a command's exit status means."""

    DONE = 0
    NOT_MET = 1
    USER = 2
    INCONCLUSIVE = 3
    BUG = 70
    INTERRUPTED = 130

    @staticmethod
    def worst(codes: list[ExitCode]) -> ExitCode:
        """Return the code that several outcomes add up to: 70, 2, 1, 3, 0 in that order; 130 outranks all."""
        order = [
            ExitCode.INTERRUPTED,
            ExitCode.BUG,
            ExitCode.USER,
            ExitCode.NOT_MET,
            ExitCode.INCONCLUSIVE,
            ExitCode.DONE,
        ]
        return min(codes, key=order.index, default=ExitCode.DONE)


class QuantizeError(Exception):
    """Something the user can fix: where it is, what was found, what was expected, what to do.

    Anything that is not a QuantizeError is a bug in this tool and keeps its traceback. The attributes hold what was
    given; the message shows values from others on one line each, and cut where they are long (``quantize.quoting``).

    Attributes:
        problem: What is wrong, in a sentence.
        where: File and line, or flag.
        found: What is there; of several facts, the sentences one after another.
        expected: What should be.
        advice: What to do.
    """

    exit_code = ExitCode.USER

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        found: str | Sequence[str] | None = None,
        expected: str | None = None,
        advice: str | None = None,
        parts: Sequence[QuantizeError] = (),
    ) -> None:
        """Keep the facts.

        Args:
            problem: See the attributes.
            where: See the attributes.
            found: A sequence shows one fact a line.
            expected: See the attributes.
            advice: See the attributes.
            parts: Errors that this one sums up: their messages stand below the problem.
        """
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.found = found if found is None or isinstance(found, str) else "; ".join(found)
        self.expected = expected
        self.advice = advice
        self._lines = () if found is None or isinstance(found, str) else tuple(found)
        self._parts = tuple(parts)

    def __str__(self) -> str:
        """Return the message as the terminal shows it, one fact a line."""
        problem = sentence(self.problem)
        lines = [f"{quoted(self.where)}: {problem}" if self.where else problem]
        lines += ["  " + line for part in self._parts for line in str(part).splitlines()]
        if self._lines:
            lines += ["  found:", *(f"    {sentence(line)}" for line in self._lines)]
        elif self.found:
            lines.append(f"  {'found:':<9} {sentence(self.found)}")
        lines += [
            f"  {name:<9} {sentence(text)}"
            for name, text in (("expected:", self.expected), ("to do:", self.advice))
            if text
        ]
        return "\n".join(lines)


class ConfigError(QuantizeError):
    """A setting in a file or a flag is wrong."""


class DataError(QuantizeError):
    """Images or labels are missing, unreadable or contradict each other."""


class ModelError(QuantizeError):
    """A model cannot be taken, or is not what its name or place says."""


class EngineError(QuantizeError):
    """A quantization engine is missing or failed on this model."""


class RunError(QuantizeError):
    """A run's folder is in the way, missing, or of another configuration."""


class StorageError(QuantizeError):
    """The system does not let a file be written or read: a full disk, a quota, no permission, a folder that is gone."""


class ResourceError(QuantizeError):
    """The machine has not what the work needs, such as memory."""


class MeasurementError(QuantizeError):
    """A measurement cannot be made or compared as asked."""
