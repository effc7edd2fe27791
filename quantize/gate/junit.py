"""A check as JUnit XML, which every CI system reads: a test case a tolerance."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from quantize.gate.result import NEUTRAL, GateResult, Line
from quantize.report.characters import bounded


def junit(result: GateResult) -> str:
    """Return the check as an XML document.

    A line that makes the check fail is a failure; one that could not be compared, does not apply or may be
    inconclusive is skipped; all others passed.
    """
    failures = sum(result.failing(line) or _is_open(result, line) for line in result.lines)
    skipped = sum(_skip(result, line) is not None for line in result.lines)
    counts = {"tests": str(len(result.lines)), "failures": str(failures), "errors": "0", "skipped": str(skipped)}
    suites = ElementTree.Element("testsuites", {"name": "quantize", **counts})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": bounded(result.run), **counts})
    for line in result.lines:
        role, _, rest = line.name.partition(".")
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"quantize.{bounded(role)}", "name": bounded(rest), "time": "0"}
        )
        message = bounded(_message(line))
        if result.failing(line) or _is_open(result, line):
            ElementTree.SubElement(case, "failure", {"type": line.verdict, "message": message}).text = message
        elif (why := _skip(result, line)) is not None:
            ElementTree.SubElement(case, "skipped", {"message": bounded(why)})
        ElementTree.SubElement(case, "system-out").text = message
    ElementTree.indent(suites, " ")
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=False).join(
        ("<?xml version='1.0' encoding='utf-8'?>\n", "\n")
    )


def _is_open(result: GateResult, line: Line) -> bool:
    return line.verdict == "inconclusive" and result.on_inconclusive is None


def _skip(result: GateResult, line: Line) -> str | None:
    if line.verdict in NEUTRAL:
        return line.note or line.verdict
    if line.verdict == "inconclusive" and result.on_inconclusive == "pass":
        return line.note or line.verdict
    return None


def _message(line: Line) -> str:
    told = f"{line.title}: {line.verdict}; found {line.found or 'nothing'}, allowed {line.allowed}"
    told += f", baseline {line.baseline}" if line.baseline is not None else ""
    return told + (f" ({line.note})" if line.note else "")
