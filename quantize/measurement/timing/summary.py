"""A measurement as text, at most 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from quantize.measurement.machine.environment import steal_share
from quantize.measurement.timing.doubts import Doubt, doubts
from quantize.measurement.timing.measurement import Latency, Measurement, latency, measured_noise_floor, speedups
from quantize.measurement.timing.speedup import Speedup, difference
from quantize.quoting import visible

WIDTH = 80


def summary(measurement: Measurement) -> str:
    """Return latencies, speed-ups, noise floor, environment and doubts of a measurement."""
    figures = [latency(measurement, contestant.name) for contestant in measurement.contestants]
    floor = measured_noise_floor(measurement)
    lines = latency_table(figures)
    lines += [speedup_line(speedup, floor) for speedup in speedups(measurement)]
    if floor is not None:
        baseline = measurement.names("baseline")[0]
        lines.append(f"noise floor {100 * floor:.1f} % ({baseline} against itself): smaller differences mean nothing")
    lines += environment_lines(measurement)
    lines += doubt_lines(doubts(measurement))
    return "\n".join(lines)


def latency_table(figures: Iterable[Latency]) -> list[str]:
    """Return a header and a line per contestant; a percentile that the runs do not support is a dash.

    ``quiet`` is the time that speed-ups compare: without the runs that other processes interrupted.
    """
    lines = [f"{'':<20}{'runs':>7}{'quiet':>10}{'p50':>10}{'p90':>10}{'p99':>10}{'images/s':>11}"]
    for figure in figures:
        times = (figure.quiet_ns, figure.p50_ns, figure.p90_ns, figure.p99_ns)
        cells = "".join(f"{milliseconds(time):>10}" for time in times)
        lines.append(f"{shortened(figure.name, 19):<20}{figure.runs:>7}{cells}{figure.images_per_second:>11.1f}")
    return lines


def speedup_line(speedup: Speedup, floor: float | None) -> str:
    """Return one candidate's speed-up with its interval and what it shows."""
    words = {"faster": "", "slower": "", "none": ": no difference", "not shown": ": too few rounds to tell"}
    interval = ""
    if speedup.low is not None and speedup.high is not None:
        interval = (
            f" ({100 * speedup.confidence:.0f} %: {speedup.low:.2f} to {speedup.high:.2f}{_p_value(speedup.p_value)})"
        )
    return f"{shortened(speedup.candidate, 32)}: {speedup.ratio:.2f}x{interval}{words[difference(speedup, floor)]}"


def _p_value(value: float | None) -> str:
    return "" if value is None else ", p < 0.001" if value < 0.001 else f", p = {value:.3f}"


def environment_lines(measurement: Measurement) -> list[str]:
    """Return where and how it was measured, wrapped."""
    environment, before, after = measurement.environment, measurement.before, measurement.after
    facts = [environment.cpu_model]
    if environment.isa_flags:
        facts.append(" ".join(environment.isa_flags))
    facts.append(f"{environment.usable_cores} of {environment.logical_cores} cores")
    if environment.affinity is not None:
        facts.append("affinity " + ",".join(map(str, environment.affinity)))
    if environment.cpu_quota is not None:
        facts.append(f"CPU quota {environment.cpu_quota:g}")
    if after.frequency_mhz is not None:
        facts.append(f"{after.frequency_mhz:.0f} MHz")
    facts.append(f"governor {environment.governor or 'unknown'}")
    if before.load_average is not None and after.load_average is not None:
        facts.append(f"load {before.load_average:.1f} before, {after.load_average:.1f} after")
    steal = steal_share(before, after)
    if steal is not None:
        facts.append(f"steal {100 * steal:.1f} %")
    facts.append(f"onnxruntime {environment.onnxruntime}")
    facts.append(f"threads {environment.threads}")
    facts.append(f"batch {environment.batch_size}")
    spinning = {None: "default", True: "on", False: "off"}[environment.spinning]
    facts += [f"spinning {spinning}", f"optimization {environment.optimization}"]
    facts.append(f"{measurement.seconds:.0f} s")
    return textwrap.wrap("; ".join(facts), WIDTH)


def doubt_lines(reasons: Iterable[Doubt]) -> list[str]:
    """Return each doubt and its advice, wrapped; nothing without doubts."""
    lines = []
    for doubt in reasons:
        lines += textwrap.wrap(f"warning: {doubt.text}", WIDTH, subsequent_indent="  ")
        lines += textwrap.wrap(f"  to do: {doubt.advice}", WIDTH, subsequent_indent="  ")
    return lines


def milliseconds(nanoseconds: float | None) -> str:
    """Return a time with three significant digits, such as ``3.26 ms``; a dash for None."""
    if nanoseconds is None:
        return "-"
    value = nanoseconds / 1e6
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def shortened(name: str, width: int) -> str:
    """Return a name of at most ``width`` characters, with an ellipsis for what is cut from its middle."""
    shown = visible(name)
    if len(shown) <= width:
        return shown
    tail = (width - 1) // 2
    return f"{shown[: width - 1 - tail]}…{shown[-tail:]}"
