"""Accuracy against latency: every timed trial, the written models, the tolerance line, the Pareto set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantize.measurement.timing.measurement import latency
from quantize.report.charts.canvas import COLOURS, FAINT, INK, LIMIT, MARKERS, SIZES, TRIAL, drawing
from quantize.report.schema import RunReport
from quantize.report.tables import NAMES


@dataclass(frozen=True)
class Point:
    """A model's place: milliseconds a run, and the metric in percent."""

    milliseconds: float
    percent: float


def accuracy_latency_chart(report: RunReport) -> str | None:
    """Return the scatter as SVG, or None where no latency or no metric was measured."""
    measurement, metric = report.measurement, report.criterion.metric
    models = {model.role: _metric(report, model.role) for model in (report.baseline, *report.models)}
    if measurement is None or all(value is None for value in models.values()):
        return None
    name = "top-1" if metric == "top1" else "agreement with fp32"
    quiet = {role: latency(measurement, role).quiet_ns / 1e6 for role in models}
    timed = [
        Point(quiet["fp32"] / trial.speedup, trial.metric * 100)
        for trial in report.trials
        if trial.speedup and trial.metric is not None
    ]
    untimed = [trial.metric * 100 for trial in report.trials if not trial.speedup and trial.metric is not None]
    written = {role: Point(quiet[role], value * 100) for role, value in models.items() if value is not None}
    with drawing(f"{name} against latency of every trial") as found:
        axes = found.figure.add_subplot()
        if timed:
            axes.scatter(*_columns(timed), s=18, color=TRIAL, label="trial", zorder=2)
        front = pareto([*timed, *written.values()])
        if len(front) > 1:
            axes.plot(*_columns(front), color=FAINT, linewidth=1, label="Pareto set", zorder=1)
        for role, point in written.items():
            axes.scatter(
                [point.milliseconds],
                [point.percent],
                s=SIZES[role],
                color=COLOURS[role],
                marker=MARKERS[role],
                label=NAMES[role],
                zorder=3,
            )
        floor = report.criterion.floor
        if floor is not None:
            axes.axhline(floor * 100, color=LIMIT, linestyle=(0, (5, 3)), linewidth=1.2, label="tolerance")
        if untimed:
            axes.plot(
                [1.0] * len(untimed),
                untimed,
                transform=axes.get_yaxis_transform(),
                marker="_",
                linestyle="none",
                color=TRIAL,
                clip_on=False,
                label="trial, not timed",
            )
        axes.set_xlim(left=0)
        axes.margins(y=0.15)
        axes.set_xlabel("latency, median of quiet runs [ms]")
        axes.set_ylabel(f"{name} [%]")
        found.figure.legend(loc="outside lower center", ncols=3, labelcolor=INK)
    return found.svg


def pareto(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other is both faster and more accurate than, fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda one: (one.milliseconds, -one.percent)):
        if not front or point.percent > front[-1].percent:
            front.append(point)
    return front


def _metric(report: RunReport, role: str) -> float | None:
    found = report.model(role).selection.evaluation
    if report.criterion.metric == "top1":
        return found.top1.expected if found.top1 else None
    if role == "fp32":
        return 1.0
    return found.fidelity.agreement if found.fidelity else None


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.milliseconds for point in points], [point.percent for point in points]
