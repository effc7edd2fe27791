"""A check as GitHub Actions shows it: annotations of a job, and its summary."""

from __future__ import annotations

from pathlib import Path

from quantize.gate.markdown import check_markdown
from quantize.gate.result import GateResult, Line
from quantize.report.characters import bounded

_LARGEST_SUMMARY = 1_000_000  # GitHub takes 1 MiB a step


def workflow_commands(result: GateResult) -> tuple[str, ...]:
    """Return a workflow command for each line that fails, is inconclusive, or is better than the baseline.

    See GitHub's "Workflow commands": what is written to stdout as ``::error title=…::…`` becomes an annotation.
    """
    return tuple(
        f"::{kind} title={_property(f'quantize: {line.title}')}::{_data(_message(line))}"
        for line in result.lines
        if (kind := _kind(result, line)) is not None
    )


def append_summary(result: GateResult, path: Path) -> None:
    """Append the check to the job's summary, the file that ``GITHUB_STEP_SUMMARY`` names."""
    text = check_markdown(result)
    if len(text.encode("utf-8")) > _LARGEST_SUMMARY:
        text = text.encode("utf-8")[:_LARGEST_SUMMARY].decode("utf-8", errors="ignore") + "\n\n(cut short)\n"
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text + "\n")


def _kind(result: GateResult, line: Line) -> str | None:
    if result.failing(line):
        return "error"
    return {"inconclusive": "warning", "better": "notice"}.get(line.verdict)


def _message(line: Line) -> str:
    told = f"{line.verdict}: found {line.found or 'nothing'}, allowed {line.allowed}"
    told += f", baseline {line.baseline}" if line.baseline is not None else ""
    return told + (f" ({line.note})" if line.note else "")


def _data(text: str) -> str:
    return bounded(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
