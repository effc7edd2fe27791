"""Runs beside each other: a page, with a chart of accuracy drop, speed-up and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantize.measurement.timing.measurement import speedups
from quantize.models.contract import Task
from quantize.report.canvas import COLOURS, DASHES, INK, LIMIT, MARKERS, drawing, label
from quantize.report.comparison import compare, short_names
from quantize.report.html import page
from quantize.report.schema import RunReport
from quantize.report.table import NAMES
from quantize.report.task_words import words

_ROLES = ("int8", "qdq")


@dataclass(frozen=True)
class TrendEntry:
    """One run's figures, by role.

    Attributes:
        run: As the user named it.
        created: When it was made, UTC, ISO 8601.
        commit: The tool's commit, or None.
        drop: Drop of accuracy, a fraction; None without labels.
        agreement: With fp32, a fraction.
        task: What the model says of an image.
        speedup: Over fp32; None if nothing was measured.
        size: In bytes.
        cpu: The processor; None if nothing was measured.
        verdict: In a word or two.
    """

    run: str
    created: str
    commit: str | None
    drop: dict[str, float | None]
    agreement: dict[str, float | None]
    speedup: dict[str, float | None]
    size: dict[str, int]
    cpu: str | None
    verdict: str
    task: Task = "one class"


def trend_chart(entries: Sequence[TrendEntry]) -> str:
    """Return three charts above each other as SVG: drop (or agreement), speed-up, size, by run."""
    labelled = any(value is not None for entry in entries for value in entry.drop.values())
    first = f"{_accuracy(entries)} drop\n[points]" if labelled else "agreement\n[%]"
    with drawing("Accuracy, speed-up and size over the runs", width=5.2, height=5.4) as chart:
        charts = chart.figure.subplots(3, 1, sharex=True)
        for axes, name in zip(charts, (first, "speed-up\n[times fp32]", "size\n[MB]"), strict=True):
            axes.set_ylabel(name)
        for role in _ROLES:
            style = {"color": COLOURS[role], "linestyle": DASHES[role], "marker": MARKERS[role], "markersize": 4}
            accuracy = [(entry.drop if labelled else entry.agreement).get(role) for entry in entries]
            sizes = [entry.size.get(role) for entry in entries]
            for axes, values, factor in (
                (charts[0], accuracy, 100.0),
                (charts[1], [entry.speedup.get(role) for entry in entries], 1.0),
                (charts[2], sizes, 1e-6),
            ):
                at = [(place, value * factor) for place, value in enumerate(values) if value is not None]
                axes.plot([x for x, _ in at], [y for _, y in at], label=NAMES[role], **style)
        charts[1].axhline(1.0, color=LIMIT, linestyle=(0, (5, 3)), linewidth=1.2, label="as fast as fp32")
        for axes in charts[1:]:
            # From zero, since small changes of a ratio or a size must not look large.
            axes.set_ylim(0, axes.dataLim.y1 * 1.15)
        names = [label(name) for name in short_names([entry.run for entry in entries])]
        turned = {"rotation": 30, "ha": "right"} if len(names) > 3 or max(map(len, names)) > 14 else {}
        charts[2].set_xticks(range(len(names)), names, **turned)
        charts[2].set_xlim(-0.3, len(names) - 0.7)
        charts[2].set_xlabel("run")
        handles, names = charts[1].get_legend_handles_labels()
        chart.figure.legend(handles, names, loc="outside lower center", ncols=2, labelcolor=INK)
    return chart.svg


def _accuracy(entries: Sequence[TrendEntry]) -> str:
    """Return what accuracy is called where all runs are of one task."""
    tasks = {entry.task for entry in entries}
    return words(tasks.pop()).accuracy if len(tasks) == 1 else "accuracy"


def comparison_html(runs: Sequence[tuple[str, RunReport]]) -> str:
    """Return named runs side by side, in their order, as one self-contained page."""
    comparison = compare(runs)
    entries = [_entry(name, report) for name, report in runs]
    title = f"Comparison of {', '.join(comparison.names[:-1])} and {comparison.names[-1]}"
    return page("comparison.html.jinja", title=title, comparison=comparison, chart=trend_chart(entries))


def _entry(name: str, report: RunReport) -> TrendEntry:
    gains = {gain.candidate: gain.ratio for gain in speedups(report.measurement)} if report.measurement else {}
    roles = {model.role: model for model in report.models}
    return TrendEntry(
        run=name,
        created=report.provenance.created,
        commit=report.provenance.tool.git_commit,
        drop={role: model.deciding.paired.drop if model.deciding.paired else None for role, model in roles.items()},
        agreement={
            role: fidelity.agreement if (fidelity := model.deciding.evaluation.fidelity) else None
            for role, model in roles.items()
        },
        speedup={role: gains.get(role) for role in roles},
        size={role: model.bytes for role, model in roles.items()},
        cpu=report.measurement.environment.cpu_model if report.measurement else None,
        verdict=report.verdict.brief,
        task=report.task,
    )
