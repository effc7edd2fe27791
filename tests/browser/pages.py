"""Draw the pages that ``make look`` opens: a run, one that is slower than fp32, and their comparison.

    python -m tests.browser.pages OUTPUT [RUN...]

The recorded run is used, with a graph and likeliest classes, and again with one slow MaxPool, other settings and fewer
changed answers; runs that are named are drawn as well, and compared.
"""

from __future__ import annotations

import json
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

_SLOWER = 2.87 / 0.73
_LOST_NS = 3.7e6
_RECORDED = Path(__file__).parents[1] / "report" / "fixtures" / "report-v1.json"


def pages(runs: Sequence[Path]) -> dict[str, str]:
    """Return the pages by name."""
    recorded = complete(read_report(_RECORDED))
    slow = slower(recorded)
    drawn = {
        "recorded": html(recorded),
        "slower": html(slow),
        "comparison": comparison_html([("runs/recorded", recorded), ("runs/slower", slow)]),
    }
    named = [(run.name, read_report(run / "report.json")) for run in runs]
    if len(named) > 1:
        drawn["comparison-named"] = comparison_html(named)
    return drawn | {name: html(report) for name, report in named}


def complete(report: RunReport) -> RunReport:
    """Return a report with what earlier versions did not record: a graph, and likeliest classes."""
    assert report.flips is not None
    names = [row.name for row in layer_rows(report)]
    nodes = tuple(
        GraphNodeSection(name=row.name, op_type=row.op_type, inputs=_read(names, place))
        for place, row in enumerate(layer_rows(report))
    )
    likeliest = tuple(
        AnswerSection(label=place, name=name, probability=share)
        for place, (name, share) in enumerate((("tick", 0.5), ("weevil", 0.25), ("long-horned beetle", 0.125)))
    )
    doubted = tuple(
        answer.model_copy(update={"probability": share})
        for answer, share in zip(likeliest[::-1], (0.375, 0.25, 0.25), strict=True)
    )
    shown = tuple(
        flip.model_copy(update={"baseline_top3": likeliest, "candidate_top3": doubted}) for flip in report.flips.shown
    )
    flips = report.flips.model_copy(update={"shown": shown})
    return report.model_copy(update={"graph": GraphSection(nodes=nodes), "flips": flips})


def _read(names: Sequence[str], place: int) -> tuple[int, ...]:
    """Return what a layer of SqueezeNet reads: a fire module squeezes, expands in two ways and concatenates these."""
    module, _, part = names[place].partition("/")
    reads = {
        "expand1x1": [f"{module}/squeeze1x1"],
        "expand3x3": [f"{module}/squeeze1x1"],
        "concat": [f"{module}/expand1x1", f"{module}/expand3x3"],
    }
    if part in reads:
        return tuple(sorted(names.index(name) for name in reads[part]))
    return (place - 1,) if place else ()


def slower(report: RunReport) -> RunReport:
    """Return a run whose figures are those of int8 at 0.73x of fp32's speed, because of one MaxPool."""
    assert report.measurement is not None
    assert report.profile is not None
    assert report.flips is not None
    blocks = tuple(
        block
        if block.contestant.startswith("fp32")
        else block.model_copy(update={"runs_ns": tuple(round(taken * _SLOWER) for taken in block.runs_ns)})
        for block in report.measurement.blocks
    )
    candidate = report.profile.candidate
    pool = next(node for node in candidate.operators if "MaxPool" in node.op_type)
    slow = pool.model_copy(update={"time_ns": pool.time_ns + _LOST_NS})
    operators = tuple(slow if node is pool else node for node in candidate.operators)
    profile = report.profile.model_copy(update={"candidate": candidate.model_copy(update={"operators": operators})})
    config = json.loads(json.dumps(report.config))
    config["quantization"]["calibration"]["sampling_size"] = [50]
    flips = report.flips.model_copy(update={"shown": report.flips.shown[1:]})
    return spoken(report).model_copy(
        update={
            "measurement": report.measurement.model_copy(update={"blocks": blocks}),
            "profile": profile,
            "config": config,
            "flips": flips,
        }
    )


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
