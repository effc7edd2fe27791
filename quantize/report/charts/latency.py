"""How the latencies of each model are distributed."""

from __future__ import annotations

import numpy as np

from quantize.measurement.timing.measurement import Measurement
from quantize.report.charts.canvas import COLOURS, DASHES, INK, drawing
from quantize.report.tables import NAMES

_POINTS = 200


def latency_chart(measurement: Measurement) -> str:
    """Return the share of runs that are no slower than a time, for each model, as SVG."""
    with drawing("Distribution of the latencies of each model") as found:
        axes = found.figure.add_subplot()
        for role, name in NAMES.items():
            runs = sorted(run for block in measurement.blocks if block.contestant == role for run in block.runs_ns)
            if not runs:
                continue
            shares = np.linspace(0.0, 1.0, min(_POINTS, len(runs)))
            times = np.quantile(np.array(runs) / 1e6, shares, method="higher")
            axes.step(times, shares * 100, where="post", color=COLOURS[role], linestyle=DASHES[role], label=name)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set_ylim(0, 100)
        axes.set_xlabel("time of a run [ms, logarithmic]")
        axes.set_ylabel("runs that took no longer [%]")
        found.figure.legend(loc="outside lower center", ncols=3, labelcolor=INK)
    return found.svg
