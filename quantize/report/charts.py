"""The charts of a report: each a function from figures to an SVG element."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from quantize.measurement.operators.operator_times import ModelProfile, OperatorTime, Profile
from quantize.measurement.timing.measurement import Measurement, latency
from quantize.report.canvas import COLOURS, DASHES, FAINT, FP32, INK, INT8, LIMIT, MARKERS, SIZES, TRIAL, drawing, label
from quantize.report.models import LayerErrorSection
from quantize.report.schema import RunReport
from quantize.report.table import NAMES
from quantize.report.task_words import words

_UNTIMED = 0.96
"""Where trials without a time stand across the chart, as a fraction of its width."""


@dataclass(frozen=True)
class Point:
    """A model's place: milliseconds a run, and the metric in percent."""

    milliseconds: float
    percent: float


def accuracy_latency_chart(report: RunReport) -> str | None:
    """Return the scatter as SVG, or None if no latency or no metric was measured."""
    measurement, metric = report.measurement, report.criterion.metric
    models = {model.role: _metric(report, model.role) for model in (report.baseline, *report.models)}
    if measurement is None or all(value is None for value in models.values()):
        return None
    accuracy = words(report.task).accuracy
    name = accuracy if metric in ("top1", "map") else "agreement with fp32"
    quiet = {role: latency(measurement, role).quiet_ns / 1e6 for role in models}
    timed = [
        Point(quiet["fp32"] / trial.speedup, trial.metric * 100)
        for trial in report.trials
        if trial.speedup and trial.metric is not None
    ]
    untimed = [trial.metric * 100 for trial in report.trials if not trial.speedup and trial.metric is not None]
    written = {role: Point(quiet[role], value * 100) for role, value in models.items() if value is not None}
    with drawing(f"{name} against latency of every trial") as chart:
        axes = chart.figure.add_subplot()
        if timed:
            axes.scatter(*_coordinates(timed), s=18, color=TRIAL, label="trial", zorder=2)
        front = pareto([*timed, *written.values()])
        if len(front) > 1:
            axes.plot(*_coordinates(front), color=FAINT, linewidth=1, label="Pareto set", zorder=1)
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
                [_UNTIMED] * len(untimed),
                untimed,
                transform=axes.get_yaxis_transform(),
                marker="o",
                markerfacecolor="none",
                linestyle="none",
                color=TRIAL,
                label="trial, not timed (at the right)",
            )
        slowest = max(point.milliseconds for point in (*timed, *written.values()))
        axes.set_xlim(0, slowest * (1.2 if untimed else 1.08))
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))
        axes.margins(y=0.15)
        axes.set_xlabel("latency, median of quiet runs [ms]")
        axes.set_ylabel(f"{name} [%]")
        chart.figure.legend(loc="outside lower center", ncols=3, labelcolor=INK)
    return chart.svg


def pareto(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other is both faster and more accurate than, fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.milliseconds, -point.percent)):
        if not front or point.percent > front[-1].percent:
            front.append(point)
    return front


def _metric(report: RunReport, role: str) -> float | None:
    if role == "fp32" and report.criterion.metric not in ("top1", "map"):
        return 1.0
    return report.model(role).selection.metric(report.criterion.metric)


def _coordinates(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.milliseconds for point in points], [point.percent for point in points]


_POINTS = 200
_STEPS = (1, 2, 5, 10)
"""Distances of ticks that are read at a glance, times powers of ten."""
_WIDE = 5
"""Slowest over fastest run from which on an axis is logarithmic: then at least three of 1, 2 and 5 are on it."""


def latency_chart(measurement: Measurement) -> str:
    """Return the share of runs that are no slower than a time, for each model, as SVG."""
    with drawing("Distribution of the latencies of each model") as chart:
        axes = chart.figure.add_subplot()
        for role, name in NAMES.items():
            runs = sorted(run for block in measurement.blocks if block.contestant == role for run in block.runs_ns)
            if not runs:
                continue
            shares = np.linspace(0.0, 1.0, min(_POINTS, len(runs)))
            times = np.quantile(np.array(runs) / 1e6, shares, method="higher")
            axes.step(times, shares * 100, where="post", color=COLOURS[role], linestyle=DASHES[role], label=name)
        first, last = axes.dataLim.intervalx
        wide = last > _WIDE * first > 0
        if wide:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_ylim(0, 101)
        axes.set_xlabel("time of a run [ms, logarithmic]" if wide else "time of a run [ms]")
        axes.set_ylabel("share of runs that took no longer [%]")
        chart.figure.legend(loc="outside lower center", ncols=3, labelcolor=INK)
    return chart.svg


_LAYER_BARS = 20


def layers_chart(layers: Sequence[LayerErrorSection]) -> str | None:
    """Return the noisiest layers as SVG, or None if no error was measured."""
    known = [(layer.node, layer.sqnr_decibel) for layer in layers if layer.sqnr_decibel is not None]
    shown = sorted(known, key=lambda layer_error: (layer_error[1], layer_error[0]))[:_LAYER_BARS]
    if not shown:
        return None
    with drawing("Error of the noisiest layers", height=0.8 + 0.2 * len(shown)) as chart:
        axes = chart.figure.add_subplot()
        axes.barh(range(len(shown)), [decibel for _, decibel in shown], 0.6, color=INT8)
        axes.set_yticks(range(len(shown)), [label(name) for name, _ in shown])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("signal-to-quantization-noise ratio [dB]; lower is worse")
        axes.set_ylabel("layer")
    return chart.svg


_OPERATOR_BARS = 12


def operator_types_chart(profile: Profile) -> str:
    """Return the time by operator type as SVG; an int8 operator counts for the fp32 operator that it computes."""
    return _bars(profile, lambda operator: operator.origin_op or operator.op_type, "Time by operator type")


def operator_nodes_chart(profile: Profile) -> str:
    """Return the time of the slowest nodes of the fp32 model, and of what computes them in int8, as SVG."""
    return _bars(profile, lambda operator: operator.origin or f"({operator.op_type}, added)", "Slowest nodes")


def _bars(profile: Profile, key: Callable[[OperatorTime], str], title: str) -> str:
    before, after = _times(profile.baseline, key), _times(profile.candidate, key)
    names = sorted({*before, *after}, key=lambda name: (-max(before.get(name, 0.0), after.get(name, 0.0)), name))
    shown = names[:_OPERATOR_BARS]
    if len(names) > _OPERATOR_BARS:
        rest = f"{len(names) - _OPERATOR_BARS + 1} others"
        shown = [*names[: _OPERATOR_BARS - 1], rest]
        for times in (before, after):
            times[rest] = sum(times.get(name, 0.0) for name in names[_OPERATOR_BARS - 1 :])
    places = range(len(shown))
    with drawing(f"{title}, fp32 against int8", height=0.9 + 0.3 * len(shown)) as chart:
        axes = chart.figure.add_subplot()
        axes.barh(
            [place - 0.2 for place in places], [before.get(n, 0.0) for n in shown], 0.38, color=FP32, label="fp32"
        )
        axes.barh([place + 0.2 for place in places], [after.get(n, 0.0) for n in shown], 0.38, color=INT8, label="int8")
        axes.set_yticks(list(places), [label(name) for name in shown])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("time in one run [ms]")
        axes.set_ylabel("operator")
        chart.figure.legend(loc="outside lower center", ncols=2, labelcolor=INK)
    return chart.svg


def _times(model: ModelProfile, key: Callable[[OperatorTime], str]) -> dict[str, float]:
    times: defaultdict[str, float] = defaultdict(float)
    for operator in model.operators:
        times[key(operator)] += operator.time_ns / 1e6
    return dict(times)
