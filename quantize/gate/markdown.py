"""A check as Markdown: ``check.md``, for a pull request or a job's summary."""

from __future__ import annotations

from quantize.gate.result import GateResult
from quantize.gate.tables import differences_table, lines_table
from quantize.report.markdown import escaped, markdown_table

_WORDS = {0: "passed", 1: "FAILED", 3: "inconclusive"}


def check_markdown(result: GateResult) -> str:
    """Return the whole check as GitHub-flavoured Markdown."""
    lines = [f"# Quantization check {_WORDS[int(result.exit_code)]}", "", escaped(result.headline), ""]
    lines += [f"- {escaped(note)}" for note in result.notes]
    lines += [""] if result.notes else []
    lines += markdown_table(lines_table(result))
    changed = differences_table(result)
    lines += markdown_table(changed) if changed is not None else ["Nothing changed since the baseline.", ""]
    lines += [f"Run: {escaped(result.run)}", ""]
    return "\n".join(lines).rstrip() + "\n"
