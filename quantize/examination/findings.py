"""The findings of a check, as data and as text."""

from __future__ import annotations

import textwrap
from typing import Literal

from quantize.quoting import sentence as shown
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
        command: The command or flags that do it, or None if no command can.
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
    """What an examination of a set-up shows.

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

    def __repr__(self) -> str:
        """Return it as `quantize doctor` prints it."""
        return doctor_text(self)

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Return the findings that make figures wrong."""
        return tuple(finding for finding in self.findings if finding.severity == "problem")


class Examination(Section):
    """What one check gave: its line, and its findings."""

    check: Check
    findings: tuple[Finding, ...] = ()


def right(name: str, text: str, *notes: Finding) -> Examination:
    """Return a check that found no problem, with notes."""
    return Examination(check=Check(name=name, outcome="right", text=text), findings=notes)


def wrong(name: str, text: str, *findings: Finding) -> Examination:
    """Return a check that found problems."""
    return Examination(check=Check(name=name, outcome="wrong", text=text), findings=findings)


def not_checked(name: str, why: str) -> Examination:
    """Return a check that could not be made."""
    return Examination(check=Check(name=name, outcome="not checked", text=why))


def sentence(text: str) -> str:
    """Return a text, such as an error's advice, as a sentence."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


_WIDTH = 80
_SIGNS = {"right": "ok", "wrong": "WRONG", "not checked": "-"}


def doctor_text(report: DoctorReport) -> str:
    """Return every check on a line, then the findings."""
    name = max(len(check.name) for check in report.checks)
    lines = []
    for check in report.checks:
        start = f"{_SIGNS[check.outcome]:<6} {check.name:<{name}}  "
        lines.append(textwrap.fill(shown(check.text), _WIDTH, initial_indent=start, subsequent_indent=" " * len(start)))
    parts = ["\n".join(lines), *(_finding(finding) for finding in report.findings)]
    problems = len(report.problems)
    every = all(check.outcome != "not checked" for check in report.checks)
    fine = "No problems found." if every else "No problems found in what could be checked."
    parts.append(f"{problems} to fix before tuning." if problems else fine)
    return "\n\n".join(parts)


def _finding(finding: Finding) -> str:
    rows = [
        ("evidence", finding.evidence),
        ("certainty", finding.sure),
        ("to do", finding.advice),
        ("flags", finding.command),
    ]
    title = finding.what if finding.severity == "problem" else f"Note: {finding.what}"
    return "\n".join(
        [
            textwrap.fill(shown(title), _WIDTH, break_on_hyphens=False),
            *(
                textwrap.fill(
                    shown(text),
                    _WIDTH,
                    initial_indent=f"  {label:<9}  ",
                    subsequent_indent=" " * 13,
                    break_on_hyphens=False,
                )
                for label, text in rows
                if text
            ),
        ]
    )
