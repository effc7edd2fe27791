"""The report of a sweep for people: on the terminal, in Markdown and as a page."""

from __future__ import annotations

from quantize.errors import ExitCode
from quantize.report.html import page
from quantize.report.lines import drawn, wrapped
from quantize.report.markdown import escaped, markdown_table
from quantize.report.table import Table
from quantize.report.wording import NOTHING, megabytes, one_line, percent, times, times_with_bounds
from quantize.sweep.report import SweepReport, SweepRun, SweepSpeed

_WORDS = {
    ExitCode.DONE: "all met",
    ExitCode.INCONCLUSIVE: "inconclusive in places",
    ExitCode.NOT_MET: "not all met",
    ExitCode.USER: "something to fix",
    ExitCode.BUG: "a run broke",
    ExitCode.INTERRUPTED: "interrupted",
}


def headline(report: SweepReport) -> str:
    """Return what came of the sweep in a line."""
    done = sum(run.error is None for run in report.runs)
    met = sum(run.exit_code == ExitCode.DONE for run in report.runs)
    words = _WORDS[ExitCode(report.exit_code)]
    return f"{words}: {met:,} of {len(report.runs):,} runs met their criteria, {len(report.runs) - done:,} failed"


def runs_table(report: SweepReport) -> Table:
    """Return a row a run: verdict, accuracy, the QLinear file's speed-up on each class of CPUs, size, exit code."""
    columns = ("run", "verdict", "fp32", "int8", "agree", *(f"on {name}" for name in report.classes), "size", "exit")
    rows = tuple(_row(run, report) for run in report.runs)
    notes = [
        "fp32, int8: accuracy on the deciding images; agree: images with fp32's answer; on a class of CPUs: the "
        "QLinear file's speed-up there."
    ]
    if any(not speed.target for run in report.runs for speed in run.times.speed):
        notes.append("* The file is not made for that class of CPUs.")
    return Table("Runs", columns, rows, tuple(notes))


def speeds_table(report: SweepReport) -> Table | None:
    """Return a row for each file, with intervals; None where nothing was timed."""
    rows = []
    for run in report.runs:
        for role in ("int8", "qdq"):
            found = {speed.cpu_class: speed for speed in run.times.speed if speed.role == role}
            if found:
                cells = (_speed(found.get(name), bounds=True) for name in report.classes)
                rows.append((f"{run.name} {role}", *cells))
    if not rows:
        return None
    columns = ("file", *report.classes)
    return Table("Speed-up over fp32 by class of CPUs (95 %)", columns, tuple(rows))


def workers_table(report: SweepReport) -> Table | None:
    """Return a row a worker; None where none was needed."""
    if not report.workers:
        return None
    rows = tuple(
        (
            worker.name,
            f"{worker.cpu_class} (claimed)" if worker.claimed else worker.cpu_class,
            f"{worker.cores}",
            "latency" if worker.benchmark else "evaluates",
            "does not find " + ", ".join(worker.missing) if worker.missing else NOTHING,
        )
        for worker in report.workers
    )
    claimed = any(worker.claimed for worker in report.workers)
    notes = ("claimed: by QUANTIZE_CPU_CLASS; the CPU may be another.",) if claimed else ()
    return Table("Workers", ("worker", "CPU class", "cores", "task", "problem"), rows, notes, prose=True)


def tables(report: SweepReport) -> tuple[Table, ...]:
    """Return every table."""
    drawn = (runs_table(report), speeds_table(report), workers_table(report))
    return tuple(table for table in drawn if table is not None)


def sweep_text(report: SweepReport) -> str:
    """Return what a person wants to know at the end of a sweep."""
    parts = [wrapped(headline(report)), "", drawn(runs_table(report))]
    for run in report.runs:
        if run.error is not None:
            parts += ["", wrapped(f"{run.name}: {run.error}")]
            parts += [f"  {one_line(line)}" for line in (run.facts or "").splitlines()]
    for worker in report.workers:
        if worker.missing:
            parts += ["", wrapped(f"worker {worker.name} got no work: it does not find {', '.join(worker.missing)}")]
    return "\n".join(parts)


def sweep_markdown(report: SweepReport) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    lines = [f"# Sweep: {escaped(headline(report))}", ""]
    for table in tables(report):
        lines += markdown_table(table)
    for run in report.runs:
        if run.error is not None:
            lines += [f"## {escaped(run.name)}: {escaped(run.error)}", ""]
            lines += [*(f"- {escaped(line.strip())}" for line in (run.facts or "").splitlines()), ""]
    return "\n".join(lines).rstrip() + "\n"


def sweep_html(report: SweepReport) -> str:
    """Return the report as one self-contained page."""
    return page(
        "sweep.html.jinja",
        title=f"Sweep: {headline(report)}",
        tables=tables(report),
        runs=report.runs,
        failed=tuple(run for run in report.runs if run.error is not None),
    )


def _row(run: SweepRun, report: SweepReport) -> tuple[str, ...]:
    roles = {model.role: model for model in run.models}
    fp32, int8 = roles.get("fp32"), roles.get("int8")
    speeds = {speed.cpu_class: speed for speed in run.times.speed if speed.role == "int8"}
    return (
        run.name,
        "failed" if run.error is not None else run.status or NOTHING,
        percent(fp32.accuracy if fp32 is not None else None),
        percent(int8.accuracy if int8 is not None else None),
        percent(int8.agreement if int8 is not None else None),
        *(_speed(speeds.get(name), bounds=False) for name in report.classes),
        megabytes(int8.bytes if int8 is not None else None),
        f"{run.exit_code}",
    )


def _speed(speed: SweepSpeed | None, *, bounds: bool) -> str:
    if speed is None:
        return NOTHING
    text = times_with_bounds(speed) if bounds else times(speed.ratio)
    return text if speed.target else f"{text} *"
