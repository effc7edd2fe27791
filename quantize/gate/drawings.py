"""The result of a check as text, Markdown, JUnit XML and GitHub annotations."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from quantize.disk import refusals_told
from quantize.gate.result import FAILING, NEUTRAL, GateResult, Line, Verdict
from quantize.report.lines import wrapped
from quantize.report.markdown import escaped, markdown_table
from quantize.report.table import Table
from quantize.report.wording import NOTHING, one_line

FOLDED: tuple[Verdict, ...] = ("accepted", *NEUTRAL, "pass")
"""Verdicts that ask nothing of a reader, those that say most first."""
_WORDS: dict[Verdict, str] = {"pass": "passed", "accepted": "missed as in the accepted run"}  # nosec B105


def attention(result: GateResult) -> tuple[Line, ...]:
    """Return the lines that a reader has to look at: what fails first, then inconclusive, then better."""
    order: list[Verdict] = [*FAILING, "inconclusive", "better"]
    lines = [line for line in result.lines if line.verdict in order]
    return tuple(sorted(lines, key=lambda line: (not result.failing(line), order.index(line.verdict))))


def folded(result: GateResult) -> tuple[Line, ...]:
    """Return the other lines, alike beside alike."""
    lines = [line for line in result.lines if line.verdict in FOLDED]
    return tuple(sorted(lines, key=lambda line: FOLDED.index(line.verdict)))


def counts(lines: Sequence[Line]) -> str:
    """Return how many lines have each verdict, such as ``38 passed, 2 not comparable``."""
    known = Counter(line.verdict for line in lines)
    return ", ".join(f"{known[name]} {_WORDS.get(name, name)}" for name in ("pass", *FOLDED[:-1]) if known[name])


def reasons(lines: Sequence[Line]) -> list[str]:
    """Return why lines were not compared, a text each, with how many there are."""
    why = Counter((line.verdict, line.note) for line in lines if line.verdict in NEUTRAL and line.note)
    return [wrapped(f"{count} {verdict}: {note}", "  ") for (verdict, note), count in why.items()]


def lines_table(title: str, lines: Sequence[Line]) -> Table:
    """Return a row per tolerance; what is compared with fp32 says so."""
    rows = tuple((line.verdict, line.title, _held_against(line), line.found or NOTHING, line.allowed) for line in lines)
    notes = tuple(f"{line.title}: {line.note}." for line in lines if line.note and line.verdict != "pass")
    return Table(title, ("verdict", "check", "compared with", "found", "allowed"), rows, notes, prose=True)


def _held_against(line: Line) -> str:
    return NOTHING if line.baseline is None else f"{_whose(line)} {line.baseline}"


def _whose(line: Line) -> str:
    return "fp32" if line.name.endswith(".fp32") else "baseline"


def differences_table(result: GateResult) -> Table | None:
    """Return a row for everything that is not as in the baseline, or None if all is."""
    if not result.differences:
        return None
    rows = tuple((difference.what, difference.baseline, difference.found) for difference in result.differences)
    return Table("What changed since the baseline", ("what", "baseline", "this run"), rows, prose=True)


_VERDICT_WIDTH = 19


def check_text(result: GateResult) -> str:
    """Return the outcome, then what failed, is inconclusive or better; the rest is counted."""
    parts = [wrapped(result.headline)]
    parts += [wrapped(note, "  ") for note in result.notes]
    shown, rest = attention(result), folded(result)
    if shown:
        parts += ["", lines_text(shown)]
    if rest:
        parts += ["", wrapped(f"{counts(rest)}; check.md lists them."), *reasons(rest)]
    count = len(result.differences)
    if count:
        changed = "1 thing" if count == 1 else f"{count} things"
        parts += ["", wrapped(f"{changed} changed since the baseline; check.md lists them.")]
    return "\n".join(parts)


def lines_text(lines: Iterable[Line]) -> str:
    """Return each line: verdict and title, then what it is held against, found and allowed."""
    return "\n".join(text for line in lines for text in _line_words(line))


def _line_words(line: Line) -> list[str]:
    indent = " " * (_VERDICT_WIDTH + 1)
    head = f"{line.verdict:<{_VERDICT_WIDTH}} {wrapped(line.title, indent).lstrip()}"
    told = f"found {line.found or NOTHING}, allowed {line.allowed}"
    if line.baseline is not None:
        told = f"{_whose(line)} {line.baseline}, {told}"
    words = [head, wrapped(told, indent)]
    return [*words, wrapped(line.note, indent)] if line.note and line.verdict != "pass" else words


_OUTCOMES = {0: "passed", 1: "FAILED", 3: "inconclusive"}


def check_markdown(result: GateResult) -> str:
    """Return the whole check as GitHub-flavoured Markdown."""
    lines = [f"# Quantization check {_OUTCOMES[int(result.exit_code)]}", "", escaped(result.headline), ""]
    lines += [f"- {escaped(note)}" for note in result.notes]
    lines += [""] if result.notes else []
    shown, rest = attention(result), folded(result)
    if shown:
        lines += markdown_table(lines_table("What to look at", shown))
    if rest:
        lines += ["<details>", f"<summary>{escaped(counts(rest))}</summary>", ""]
        lines += [*markdown_table(lines_table("All other checks", rest)), "</details>", ""]
    changed = differences_table(result)
    lines += markdown_table(changed) if changed is not None else ["Nothing changed since the baseline.", ""]
    lines += [f"Run: {escaped(result.run)}", ""]
    return "\n".join(lines).rstrip() + "\n"


_LARGEST_SUMMARY = 1_000_000  # GitHub takes 1 MiB a step


def workflow_commands(result: GateResult) -> tuple[str, ...]:
    """Return a workflow command for each line that fails, is inconclusive, or is better than the baseline.

    See GitHub's "Workflow commands": what is written to stdout as ``::error title=…::…`` becomes an annotation.
    """
    return tuple(
        f"::{kind} title={_property(f'quantize: {line.title}')}::{_data(f'{line.verdict}: {_told(line)}')}"
        for line in result.lines
        if (kind := _annotation_kind(result, line)) is not None
    )


def append_summary(result: GateResult, path: Path) -> None:
    """Append the check to the job's summary, the file that ``GITHUB_STEP_SUMMARY`` names."""
    text = check_markdown(result)
    if len(text.encode("utf-8")) > _LARGEST_SUMMARY:
        text = text.encode("utf-8")[:_LARGEST_SUMMARY].decode("utf-8", errors="ignore") + "\n\n(cut short)\n"
    with refusals_told(path), path.open("a", encoding="utf-8") as stream:
        stream.write(text + "\n")


def _annotation_kind(result: GateResult, line: Line) -> str | None:
    if result.failing(line):
        return "error"
    return {"inconclusive": "warning", "better": "notice"}.get(line.verdict)


def _told(line: Line) -> str:
    told = f"found {line.found or 'nothing'}, allowed {line.allowed}"
    told += f", {_whose(line)} {line.baseline}" if line.baseline is not None else ""
    return told + (f" ({line.note})" if line.note else "")


def _data(text: str) -> str:
    return one_line(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def junit(result: GateResult) -> str:
    """Return the check as an XML document.

    A line that makes the check fail is a failure; one that could not be compared, does not apply or may be
    inconclusive is skipped; all others passed.
    """
    failures = sum(result.failing(line) or _is_open(result, line) for line in result.lines)
    skipped = sum(_skip(result, line) is not None for line in result.lines)
    counts = {"tests": str(len(result.lines)), "failures": str(failures), "errors": "0", "skipped": str(skipped)}
    suites = ElementTree.Element("testsuites", {"name": "quantize", **counts})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": one_line(result.run), **counts})
    for line in result.lines:
        role, _, rest = line.name.partition(".")
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"quantize.{one_line(role)}", "name": one_line(rest), "time": "0"}
        )
        message = one_line(f"{line.title}: {line.verdict}; {_told(line)}")
        if result.failing(line) or _is_open(result, line):
            ElementTree.SubElement(case, "failure", {"type": line.verdict, "message": message}).text = message
        elif (why := _skip(result, line)) is not None:
            ElementTree.SubElement(case, "skipped", {"message": one_line(why)})
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
