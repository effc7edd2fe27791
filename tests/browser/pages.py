"""Draw the pages that ``make look`` opens: a run, one that is slower than fp32, and their comparison.

    python -m tests.browser.pages OUTPUT [RUN...]

The recorded run is used, with a graph and likeliest classes; runs that are named are drawn as well.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from quantize.report.data import AnswerSection
from quantize.report.graph import GraphNodeSection, GraphSection
from quantize.report.html import html
from quantize.report.layer_map import layer_rows
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.report.trend import comparison_html
from tests.report.test_headline import spoken

_RECORDED = Path(__file__).parents[1] / "report" / "fixtures" / "report-v1.json"


def pages(runs: Sequence[Path]) -> dict[str, str]:
    """Return the pages by name."""
    recorded = complete(read_report(_RECORDED))
    drawn = {
        "recorded": html(recorded),
        "slower": html(spoken(recorded)),
        "comparison": comparison_html([("runs/recorded", recorded), ("runs/slower", spoken(recorded))]),
    }
    named = [(run.name, read_report(run / "report.json")) for run in runs]
    return drawn | {name: html(report) for name, report in named}


def complete(report: RunReport) -> RunReport:
    """Return a report with what earlier versions did not record: a graph, and likeliest classes."""
    assert report.flips is not None
    rows = layer_rows(report)
    nodes = tuple(
        GraphNodeSection(name=row.name, op_type=row.op_type, inputs=tuple(range(max(0, place - 1 - place % 2), place)))
        for place, row in enumerate(rows)
    )
    likeliest = tuple(
        AnswerSection(label=place, name=name, probability=share)
        for place, (name, share) in enumerate((("tick", 0.5), ("weevil", 0.25), ("long-horned beetle", 0.125)))
    )
    shown = tuple(
        flip.model_copy(update={"baseline_top3": likeliest, "candidate_top3": likeliest[::-1]})
        for flip in report.flips.shown
    )
    flips = report.flips.model_copy(update={"shown": shown})
    return report.model_copy(update={"graph": GraphSection(nodes=nodes), "flips": flips})


def main(words: Sequence[str]) -> None:
    """Write the pages into a folder, and print their paths."""
    folder, *runs = map(Path, words)
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages(runs).items():
        path = folder / f"{name}.html"
        path.write_text(page, encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
