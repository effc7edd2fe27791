"""Accepted baselines, and a report held against them."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from fuzzing.json_changes import changed_json, json_seeds
from fuzzing.target import Target
from quantize.commands.check import default_tolerances
from quantize.gate.baseline import accepted, read_baseline, write_baseline
from quantize.gate.check import check
from quantize.gate.document import ReportDocument, read_document
from quantize.gate.drawings import check_markdown, check_text, junit, workflow_commands

_FIXTURE = Path("tests/report/fixtures/report-v1.json")


@cache
def _report() -> ReportDocument:
    return read_document(_FIXTURE)


@cache
def _baseline(scratch: Path) -> str:
    write_baseline(accepted(_report(), where="report.json"), scratch / "accepted.json")
    return (scratch / "accepted.json").read_text("utf-8")


_tolerances = cache(default_tolerances)


def _run(content: bytes, scratch: Path) -> None:
    path = scratch / "baseline.json"
    path.write_bytes(content if content[:1] == b"{" else changed_json(_baseline(scratch), content))
    baseline = read_baseline(path)
    result = check(_report(), baseline, _tolerances(), {}, run="x")
    check_text(result), check_markdown(result), junit(result), workflow_commands(result)
    write_baseline(baseline, scratch / "again.json")


TARGET = Target(
    name="baseline",
    what="baseline.json, and a check against it",
    executions=200_000,
    seeds=partial(json_seeds, b'{"version": 1}'),
    run=_run,
    longest=96,
)
