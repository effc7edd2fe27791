"""How the written files do on all cores, in words: what is added to the recommendation, and a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from quantize.measurement.timing.measurement import latency
from quantize.report.advice import Decision, PointSection
from quantize.report.all_cores import AllCoresSection
from quantize.report.criterion import FileSpeed
from quantize.report.table import NAMES, Table
from quantize.report.wording import milliseconds, percent, times, times_with_bounds

_FORMATS: Mapping[str, str] = {"int8": "QLinear", "qdq": "QDQ"}
_NOISY = 0.1
"""The noise, a fraction, from which on it is told beside a figure that it may explain."""
_FILES = {role: f"the {name} file" for role, name in _FORMATS.items()}


def advice(section: AllCoresSection, decision: Decision, *, shipped: str, threads: int) -> str | None:
    """Return what all cores add to a recommendation; None where they change nothing.

    Args:
        section: What was measured there.
        decision: What the run advises by its own figures.
        shipped: Role of the file that it names.
        threads: Threads that its own figures are of.
    """
    if decision == "measure on the target":  # what is fast here says nothing of it
        return None
    if decision == "keep fp32":
        return _faster_there(section)
    where, slower = f"On all {section.cores} cores", {file.role for file in section.slower}
    tuned = f"tune with --cores_per_instance {section.cores}"
    served = f"use it with {'one thread' if threads == 1 else f'{threads} threads'} per request"
    own = next((file for file in section.files if file.role == shipped), None)
    other = next((file for file in section.files if file.role != shipped), None)
    if own is None:
        return None
    if own.role in slower and (other is None or other.role in slower):
        return f"{where} int8 is slower than fp32, {_figure(own)}: {served}, or {tuned}."
    if own.role in slower and other is not None:
        there = f"take {_FILES[other.role]} there, {_figure(other)}, or {tuned}"
        return f"{where} {_FILES[own.role]} is slower than fp32, {_figure(own)}: {there}."
    if other is not None and other.role in slower:
        return f"{where} {_FILES[other.role]} is slower than fp32, {_figure(other)}: take {_FILES[own.role]} there."
    if other is not None and section.faster_format == other:
        return f"{where} {_FILES[other.role]} is the faster one, {_figure(other)} against {_figure(own)}."
    return None


def with_all_cores(point: PointSection, section: AllCoresSection, *, for_target: bool) -> PointSection:
    """Return the point on speed with both files' speed on all cores.

    Args:
        point: What it says of the run's own figures.
        section: What was measured there.
        for_target: Whether the figures are of a CPU that the files are for.
    """
    figures = "; ".join(_of_each(section))
    noise = f", with a noise of {percent(section.noise_floor, 0)}" if (section.noise_floor or 0.0) > _NOISY else ""
    slower = for_target and bool(section.slower) and point.state in ("good", "open")
    text = f"{point.text} On all {section.cores} cores: {figures}{noise}."
    return point.model_copy(update={"text": text, "state": "slower" if slower else point.state})


def all_cores_table(section: AllCoresSection | None) -> Table | None:
    """Return each model's latency and speed-up on all cores, or None if nothing was measured there."""
    if section is None:
        return None
    gains = {file.role: file for file in section.files}
    rows = tuple(
        (
            NAMES[role],
            milliseconds(latency(section.measurement, role).p50_ns),
            times_with_bounds(gains[role]) if role in gains else "baseline",
        )
        for role in ("fp32", *gains)
    )
    notes = [
        f"{section.cores} threads, on as many physical cores: a shorter measurement than the one above, and none that "
        "the models were chosen by."
    ]
    if section.noise_floor is not None:
        notes.append(
            f"Noise, fp32 against itself: {percent(section.noise_floor, 1)}; smaller differences mean nothing."
        )
    return Table(f"Latency on all {section.cores} cores", ("model", "p50", "speed-up, 95 %"), rows, tuple(notes))


def _faster_there(section: AllCoresSection) -> str | None:
    """Return that int8, which is not worth it by the run's own figures, is so on all cores; None if it is not."""
    if len(section.faster) < len(section.files) or not section.files:
        return None
    least = min(section.faster, key=lambda file: file.ratio)
    tuned = f"tune with --cores_per_instance {section.cores} to use them all"
    return f"On all {section.cores} cores it is faster, {_figure(least)}: {tuned}."


def _of_each(section: AllCoresSection) -> Iterator[str]:
    """Yield each file's figure, or the slower file's alone where both say the same."""
    files, slower = section.files, section.slower
    judged = {file.role: ", SLOWER than fp32" if file in slower else "" for file in files}
    if len({(times(file.ratio), judged[file.role]) for file in files}) == 1:
        files = (min(files, key=lambda file: file.ratio),)
    for file in files:
        name = f"{_FORMATS[file.role]} " if len(files) > 1 else ""
        yield f"{name}{_figure(file)}{judged[file.role]}"


def _figure(file: FileSpeed) -> str:
    if file.low is None or file.high is None:
        return times(file.ratio)
    return f"{times(file.ratio)} ({file.low:.2f} to {file.high:.2f})"
