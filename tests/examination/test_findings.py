from __future__ import annotations

from quantize.examination.findings import DoctorReport, Finding, doctor_text, not_checked, right, wrong


def _finding(severity: str) -> Finding:
    return Finding.model_validate(
        {
            "check": "labels",
            "severity": severity,
            "what": "The labels are odd.",
            "sure": "likely",
            "evidence": "a figure",
            "advice": "Look at them.",
        }
    )


def _report(*examinations: object) -> DoctorReport:
    kept = [examined for examined in examinations if hasattr(examined, "check")]
    return DoctorReport(
        model="m",
        data="d",
        images=1,
        findings=tuple(finding for examined in kept for finding in examined.findings),
        checks=tuple(examined.check for examined in kept),
    )


def test_a_problem_is_counted_and_a_note_is_not() -> None:
    report = _report(wrong("labels", "odd", _finding("problem")), right("batch", "any", _finding("note")))
    assert [finding.severity for finding in report.problems] == ["problem"]
    text = doctor_text(report)
    assert "WRONG  labels  odd" in text
    assert "Note: The labels are odd." in text
    assert text.endswith("1 to fix before tuning.")


def test_what_was_not_checked_is_not_called_right() -> None:
    assert doctor_text(_report(right("batch", "any"))).endswith("No problems found.")
    text = doctor_text(_report(right("batch", "any"), not_checked("labels", "there are none")))
    assert "-      labels  there are none" in text
    assert text.endswith("No problems found in what could be checked.")


def test_a_finding_without_a_command_names_none() -> None:
    text = doctor_text(_report(wrong("labels", "odd", _finding("problem"))))
    assert "to do      Look at them." in text
    assert "flags" not in text
