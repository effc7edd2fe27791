"""An examination as a person reads it."""

from __future__ import annotations

import textwrap

from quantize.doctor.finding import DoctorReport, Finding

_WIDTH = 80
_SIGNS = {"right": "ok", "wrong": "WRONG", "not checked": "-"}


def doctor_text(report: DoctorReport) -> str:
    """Return every check on a line, then the findings."""
    name = max(len(check.name) for check in report.checks)
    lines = []
    for check in report.checks:
        start = f"{_SIGNS[check.outcome]:<6} {check.name:<{name}}  "
        lines.append(textwrap.fill(check.text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start)))
    parts = ["\n".join(lines), *(_finding(finding) for finding in report.findings)]
    problems = len(report.problems)
    every = all(check.outcome != "not checked" for check in report.checks)
    fine = "Nothing is wrong with this set-up." if every else "Nothing is wrong in what could be checked."
    parts.append(f"{problems} to put right before tuning." if problems else fine)
    return "\n\n".join(parts)


def _finding(finding: Finding) -> str:
    rows = [("seen", finding.evidence), ("sure", finding.sure), ("to do", finding.advice), ("say", finding.command)]
    title = finding.what if finding.severity == "problem" else f"Note: {finding.what}"
    return "\n".join(
        [
            textwrap.fill(title, _WIDTH, break_on_hyphens=False),
            *(
                textwrap.fill(
                    text, _WIDTH, initial_indent=f"  {label:<6} ", subsequent_indent=" " * 9, break_on_hyphens=False
                )
                for label, text in rows
                if text
            ),
        ]
    )
