"""Where the time of a run goes: operators of fp32 beside those of int8."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from quantize.measurement.operators.operator_times import ModelProfile, OperatorTime, Profile
from quantize.report.charts.canvas import FP32, INK, INT8, drawing, label

_BARS = 12


def operator_types_chart(profile: Profile) -> str:
    """Return the time by operator type as SVG; an int8 operator counts for the fp32 operator that it computes."""
    return _bars(profile, lambda one: one.origin_op or one.op_type, "Time by operator type")


def operator_nodes_chart(profile: Profile) -> str:
    """Return the time of the dearest nodes of the fp32 model, and of what computes them in int8, as SVG."""
    return _bars(profile, lambda one: one.origin or f"({one.op_type}, added)", "Time of the dearest nodes")


def _bars(profile: Profile, key: Callable[[OperatorTime], str], title: str) -> str:
    before, after = _times(profile.baseline, key), _times(profile.candidate, key)
    names = sorted({*before, *after}, key=lambda name: (-max(before.get(name, 0.0), after.get(name, 0.0)), name))
    shown = names[:_BARS]
    if len(names) > _BARS:
        rest = f"{len(names) - _BARS + 1} others"
        shown = [*names[: _BARS - 1], rest]
        for times in (before, after):
            times[rest] = sum(times.get(name, 0.0) for name in names[_BARS - 1 :])
    places = range(len(shown))
    with drawing(f"{title}, fp32 against int8", height=0.9 + 0.3 * len(shown)) as found:
        axes = found.figure.add_subplot()
        axes.barh(
            [place - 0.2 for place in places], [before.get(n, 0.0) for n in shown], 0.38, color=FP32, label="fp32"
        )
        axes.barh([place + 0.2 for place in places], [after.get(n, 0.0) for n in shown], 0.38, color=INT8, label="int8")
        axes.set_yticks(list(places), [label(name) for name in shown])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("time in one run [ms]")
        axes.set_ylabel("operator")
        found.figure.legend(loc="outside lower center", ncols=2, labelcolor=INK)
    return found.svg


def _times(model: ModelProfile, key: Callable[[OperatorTime], str]) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for operator in model.operators:
        found[key(operator)] += operator.time_ns / 1e6
    return dict(found)
