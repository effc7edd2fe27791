"""A benchmark as text, at most 80 columns wide."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from quantize.measurement.instances.measurement import (
    InstanceMeasurement,
    images_per_second,
    instance_latency,
    throughput_speedups,
)
from quantize.measurement.machine.loads import Resources
from quantize.measurement.operators.profile_text import profile_text
from quantize.measurement.timing.measurement import latency
from quantize.measurement.timing.stages import StageTimes, end_to_end_speedup
from quantize.measurement.timing.summary import summary
from quantize.measurement.timing.throughput import BatchThroughput
from quantize.report.accuracy_tables import accuracy_rows, drop_rows
from quantize.report.benchmark import BenchmarkReport
from quantize.report.data import preprocessing_name
from quantize.report.lines import drawn, wrapped
from quantize.report.speed_tables import opened_sentence
from quantize.report.table import Table
from quantize.report.wording import megabytes, milliseconds, times, times_with_bounds


def benchmark_text(report: BenchmarkReport) -> str:
    """Return everything that a benchmark found."""
    parts = []
    sections = [(model.name, model.accuracy) for model in report.models if model.accuracy is not None]
    if sections:
        note = f"{report.images:,} images, preprocessing '{preprocessing_name(report.preprocessing)}'."
        others = [
            f"{model.name}: preprocessing '{preprocessing_name(model.preprocessing)}'."
            for model in report.models
            if model.preprocessing is not None
        ]
        calibrated = [] if report.calibration is None else [report.calibration.sentence]
        parts.append(drawn(accuracy_rows(sections, [note, *calibrated, *others])))
        dropped = drop_rows(sections)
        parts += [drawn(dropped)] if dropped is not None else []
    if report.latency is not None:
        parts.append("Latency, batch 1\n" + summary(report.latency))
    if report.stages:
        parts.append(drawn(_stages(report.stages)))
    if report.resources:
        parts.append(drawn(_resources(report)))
    if report.instances is not None:
        parts.append(drawn(_instances(report.instances)))
    if report.throughput:
        parts.append(drawn(_throughput(report.throughput)))
    notes = [*report.notes, *([report.elsewhere] if report.elsewhere is not None else [])]
    if notes:
        parts.append("\n".join(wrapped(f"note: {note}", "  ") for note in notes))
    if report.profile is not None:
        parts.append(profile_text(report.profile))
    return "\n\n".join(parts)


def _stages(stages: Sequence[StageTimes]) -> Table:
    rows = []
    for model in stages:
        gain = end_to_end_speedup(stages[0], model) if model is not stages[0] else None
        rows.append(
            (
                model.name,
                *(
                    milliseconds(statistics.median(taken))
                    for taken in (
                        model.preprocessing_ns,
                        model.inference_ns,
                        model.postprocessing_ns,
                        model.end_to_end_ns,
                    )
                ),
                times_with_bounds(gain) if gain is not None else "",
            )
        )
    note = "From the image file's bytes to the top-5, one image at a time; medians."
    return Table("End to end", ("model", "before", "model run", "after", "all", "speed-up, 95 %"), tuple(rows), (note,))


def _resources(report: BenchmarkReport) -> Table:
    sizes = {model.name: model.bytes for model in report.models}

    def row(measured: Resources) -> tuple[str, ...]:
        peak_bytes, added_bytes = measured.peak_bytes, measured.model_bytes
        return (
            measured.name,
            megabytes(sizes[measured.name]),
            milliseconds(measured.load_ns, 1),
            milliseconds(measured.first_run_ns, 1),
            megabytes(None if added_bytes is None else round(added_bytes)),
            megabytes(None if peak_bytes is None else round(peak_bytes)),
        )

    return Table(
        "Size, load time and memory",
        ("model", "file", "load", "first run", "memory added", "peak process memory"),
        tuple(row(resources) for resources in report.resources),
        (opened_sentence(report.resources),),
    )


def _instances(measurement: InstanceMeasurement) -> Table:
    names = [contestant.name for contestant in measurement.contestants if contestant.role != "control"]
    rows = []
    for instance in measurement.instances:
        where = "not pinned" if instance.affinity is None else "cores " + ",".join(map(str, instance.affinity))
        rows.append(
            (
                f"{instance.index} ({where})",
                *(milliseconds(instance_latency(measurement, instance.index, name).p50_ns) for name in names),
            )
        )
    rows.append(("all together, images/s", *(f"{images_per_second(measurement, name):.0f}" for name in names)))
    gains = {gain.candidate: gain for gain in throughput_speedups(measurement)}
    if gains:
        words = ("baseline" if name not in gains else times(gains[name].ratio) for name in names)
        rows.append(("speed-up of throughput", *words))
    return Table(
        f"{len(measurement.instances)} instances at once, {measurement.plan.threads} core(s) each: p50",
        ("instance", *names),
        tuple(rows),
    )


def _throughput(entries: Sequence[BatchThroughput]) -> Table:
    names = next(
        ([contestant.name for contestant in entry.measurement.contestants if contestant.role != "control"])
        for entry in entries
        if entry.measurement is not None
    )
    rows = []
    for entry in entries:
        if entry.measurement is None:
            rows.append((str(entry.batch_size), entry.refused or "", *[""] * (len(names) - 1)))
            continue
        measurement = entry.measurement
        rows.append((str(entry.batch_size), *(f"{latency(measurement, name).images_per_second:.0f}" for name in names)))
    return Table("Throughput, images/s", ("batch", *names), tuple(rows))
