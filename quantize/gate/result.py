"""The result of a check: a line per tolerance, and one exit code."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from quantize.brief_repr import BriefModel
from quantize.errors import ExitCode

Verdict = Literal[
    "pass",
    "fail",
    "missing",
    "inconclusive",
    "better",
    "accepted",
    "not in the baseline",
    "not comparable",
    "not applicable",
]
"""``accepted``: a limit is missed, as it was in the run that was accepted."""
OnInconclusive = Literal["pass", "fail"]

FAILING: tuple[Verdict, ...] = ("fail", "missing")
NEUTRAL: tuple[Verdict, ...] = ("not in the baseline", "not comparable", "not applicable")
"""Nothing was compared: neither good nor bad."""


class Line(BaseModel):
    """One tolerance and what was found.

    Attributes:
        name: For machines, such as ``int8.top1_drop.fp32``.
        title: For people.
        baseline: What it is held against, as text; None if there is nothing.
        found: What was found, as text; None if it is missing.
        allowed: What passes, as text.
        verdict: The outcome.
        note: Why, where the verdict alone does not say it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    baseline: str | None
    found: str | None
    allowed: str
    verdict: Verdict
    note: str | None = None

    @property
    def figure(self) -> str:
        """Return what ``--require`` calls the line: ``agreement``, ``fp32_top1``, ``criterion``."""
        role, _, rest = self.name.partition(".")
        figure = rest.partition(".")[0]
        return f"fp32_{figure}" if role == "fp32" else figure

    def required(self) -> Line:
        """Return the line as it is where the figure has to be compared: what was not compared fails."""
        if self.verdict not in NEUTRAL:
            return self
        note = f"required, and {self.verdict}" + (f": {self.note}" if self.note else "")
        return self.model_copy(update={"verdict": "fail", "note": note})


class Difference(BaseModel):
    """Something that is not as in the baseline, whether or not a tolerance speaks of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    baseline: str
    found: str


class GateResult(BriefModel):
    """The outcome of a check.

    Attributes:
        run: The run that was checked, as the user named it.
        lines: One a tolerance.
        differences: What changed since the baseline.
        notes: What a reader must know.
        on_inconclusive: What to make of inconclusive lines; None: they have an exit code of their own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    lines: tuple[Line, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    on_inconclusive: OnInconclusive | None = None

    def failing(self, line: Line) -> bool:
        """Return whether a line makes the check fail."""
        return line.verdict in FAILING or (line.verdict == "inconclusive" and self.on_inconclusive == "fail")

    @property
    def exit_code(self) -> ExitCode:
        """Return 1 if a line fails, 3 if one is inconclusive and nothing was said about that, else 0."""
        codes = [ExitCode.NOT_MET for line in self.lines if self.failing(line)]
        if self.on_inconclusive is None:
            codes += [ExitCode.INCONCLUSIVE for line in self.lines if line.verdict == "inconclusive"]
        return ExitCode.worst(codes)

    @property
    def headline(self) -> str:
        """Return the outcome in a sentence."""
        failed = sum(self.failing(line) for line in self.lines)
        better = sum(line.verdict == "better" for line in self.lines)
        open_ = sum(line.verdict == "inconclusive" and not self.failing(line) for line in self.lines)
        if failed:
            return f"{failed} of {_count(len(self.lines))} failed."
        text = f"{_count(len(self.lines))}, none failed."
        known = sum(line.verdict == "accepted" for line in self.lines)
        if known:
            text += f" {known} missed as in the accepted run."
        apart = sum(line.verdict in ("not in the baseline", "not comparable") for line in self.lines)
        if apart:
            text += f" {apart} not compared."
        if open_:
            text += f" {open_} inconclusive: more images would settle them."
        return text + (f" {better} better than the baseline: accept the run?" if better else "")


def _count(number: int) -> str:
    return f"{number} check" + ("" if number == 1 else "s")
