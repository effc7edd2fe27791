"""``report.json``: read by the schema, drawn, and read by the gate."""

from __future__ import annotations

import json
import zlib
from functools import cache, partial
from pathlib import Path

from fuzzing.json_changes import changed_json, json_seeds
from fuzzing.target import Target
from quantize.commands.check import default_tolerances
from quantize.errors import QuantizeError
from quantize.gate.baseline import accepted
from quantize.gate.check import check
from quantize.gate.document import read_document
from quantize.gate.drawings import check_markdown, check_text, junit, workflow_commands
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.storage import read_report
from quantize.report.text import summary

_FIXTURE = Path("tests/report/fixtures/report-v1.json")
_PAGES_OF = 2_000  # executions: a page takes seconds, for its charts


@cache
def _document() -> str:
    document = json.loads(_FIXTURE.read_text("utf-8"))
    for name in ("baseline", "candidate"):  # long lists of the same shape: shorter ones are read more often
        document["profile"][name]["operators"] = document["profile"][name]["operators"][:3]
    document["measurement"]["blocks"] = document["measurement"]["blocks"][:8]
    document["flips"]["shown"] = document["flips"]["shown"][:2]
    for image in document["flips"]["shown"]:
        image["thumbnail"] = image["thumbnail"][:64]
    return json.dumps(document)


_tolerances = cache(default_tolerances)


def _run(content: bytes, scratch: Path) -> None:
    path = scratch / "report.json"
    raw = content[:1] == b"{"
    path.write_bytes(content if raw else changed_json(_document(), content))
    try:
        report = read_report(path)
    except QuantizeError:
        report = None
    if report is not None:
        markdown(report), summary(report)
        if zlib.crc32(content) % _PAGES_OF == 1:
            html(report)
    document = read_document(path)
    try:
        baseline = accepted(document, where="report.json")
    except QuantizeError:
        baseline = None
    result = check(document, baseline, _tolerances(), {}, run="x")
    check_text(result), check_markdown(result), junit(result), workflow_commands(result)


TARGET = Target(
    name="report",
    what="report.json, read, drawn and checked",
    executions=200_000,
    seeds=partial(json_seeds, b'{"schema_version": 1}'),
    run=_run,
    longest=96,
)
