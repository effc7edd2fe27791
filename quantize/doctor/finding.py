"""What an examination found, as values that a program reads."""

from __future__ import annotations

from typing import Literal

from quantize.report.section import Section

Certainty = Literal["certain", "very likely", "likely"]


class Finding(Section):
    """Something about the set-up that is wrong, or that one should know.

    Attributes:
        check: Which check found it, such as ``labels``.
        severity: ``problem``: figures would be wrong; ``note``: they are right, but something is lost.
        what: What is wrong, one sentence.
        sure: How sure that is.
        evidence: What it rests on, with figures.
        advice: What to do.
        command: The command or flags that do it, or None where no command can.
    """

    check: str
    severity: Literal["problem", "note"] = "problem"
    what: str
    sure: Certainty
    evidence: str
    advice: str
    command: str | None = None


class Check(Section):
    """One thing that was looked at.

    Attributes:
        name: What.
        outcome: ``right``, ``wrong`` (there is a finding), or ``not checked``.
        text: What was seen, or why it was not checked.
    """

    name: str
    outcome: Literal["right", "wrong", "not checked"]
    text: str


class DoctorReport(Section):
    """What an examination found.

    Attributes:
        model: The model's file.
        data: The images.
        images: How many images were tried.
        findings: What is wrong or should be known, problems first.
        checks: Everything that was looked at, in order.
    """

    model: str
    data: str
    images: int
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Return the findings that make figures wrong."""
        return tuple(finding for finding in self.findings if finding.severity == "problem")


class Examined(Section):
    """What one check gave: its line, and its findings."""

    check: Check
    findings: tuple[Finding, ...] = ()


def right(name: str, text: str, *notes: Finding) -> Examined:
    """Return a check that found no problem, with notes."""
    return Examined(check=Check(name=name, outcome="right", text=text), findings=notes)


def wrong(name: str, text: str, *findings: Finding) -> Examined:
    """Return a check that found problems."""
    return Examined(check=Check(name=name, outcome="wrong", text=text), findings=findings)


def not_checked(name: str, why: str) -> Examined:
    """Return a check that could not be made."""
    return Examined(check=Check(name=name, outcome="not checked", text=why))
