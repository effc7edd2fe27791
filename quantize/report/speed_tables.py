"""Tables of speed: latencies, the CPU's peak rates, doubts, load time and memory."""

from __future__ import annotations

from collections.abc import Sequence

from quantize.measurement.machine.layer_shapes import KIND_NAMES
from quantize.measurement.machine.loads import Resources
from quantize.measurement.machine.text import saturation_words
from quantize.measurement.timing.doubts import doubts
from quantize.measurement.timing.measurement import Latency, latency, speedups
from quantize.measurement.timing.speedup import Speedup
from quantize.report.provenance import MachineSection
from quantize.report.schema import RunReport
from quantize.report.table import NAMES, Table
from quantize.report.wording import (
    NOTHING,
    megabytes,
    milliseconds,
    percent,
    times,
    times_with_bounds,
)

STORED = "stored in int8, computed in fp32"


def speed_table(report: RunReport) -> Table | None:
    """Return each model's latency and speed-up, or None if nothing was measured."""
    measurement = report.measurement
    if measurement is None:
        return None
    gains: dict[str, Speedup] = {gain.candidate: gain for gain in speedups(measurement)}
    rows = []
    for model in (report.baseline, *report.models):
        taken: Latency = latency(measurement, model.role)
        gain = gains.get(model.role)
        rows.append(
            (
                NAMES[model.role],
                milliseconds(taken.p50_ns),
                milliseconds(taken.p90_ns),
                milliseconds(taken.p99_ns),
                times_with_bounds(gain) if gain else "baseline",
                megabytes(model.bytes),
            )
        )
    plan = measurement.plan
    threads = f"{plan.threads} thread" + ("s" if plan.threads > 1 else "")
    speed = report.verdict.speed
    elsewhere = "" if speed is None or speed.for_target else f" (not measured for the target {speed.target})"
    return Table(
        f"Latency and size{elsewhere}",
        ("model", "p50", "p90", "p99", "speed-up, 95 %", "size"),
        tuple(rows),
        (
            f"Batch {plan.batch_size}, {threads}, {measurement.environment.cpu_model}, "
            f"onnxruntime {measurement.environment.onnxruntime}; the models took turns in one process.",
            report.cpus,
        ),
    )


def machine_table(section: MachineSection | None) -> Table | None:
    """Return the CPU's peak rates and the model's shares of them, or None for a report without them."""
    if section is None:
        return None
    shares = {share.kind: share for share in section.expectation.kinds} if section.expectation is not None else {}
    total = sum(share.fp32_ns for share in shares.values())
    rows = []
    for rates in section.machine.peak_rates(section.threads).kinds:
        share = shares.get(rates.kind)
        part = NOTHING if share is None else percent(share.fp32_ns / total, 0)
        fp32, int8 = (f"{rate / 1e9:.1f} G/s" for rate in (rates.fp32, rates.int8))
        rows.append((KIND_NAMES[rates.kind], part, fp32, int8, times(rates.gain)))
    return Table(
        "What this CPU can gain",
        ("layers", "share of fp32 time", "fp32 peak", "int8 peak", "int8 speed-up"),
        tuple(rows),
        (
            section.line + ".",
            saturation_words(section.machine),
            f"Peak: the most multiply-adds per second (G: billions) that onnxruntime {section.machine.onnxruntime} "
            f"reaches here, CPU class {section.machine.cpu_class}. The share of time is estimated from fp32's peak.",
        ),
    )


def doubts_table(report: RunReport) -> Table | None:
    """Return what makes the latencies doubtful, or None if nothing does."""
    reasons = doubts(report.measurement) if report.measurement is not None else ()
    if not reasons:
        return None
    return Table(
        "Measurement warnings",
        ("warning", "found", "what to do"),
        tuple((doubt.name, doubt.text, doubt.advice) for doubt in reasons),
        prose=True,
    )


def resources_table(report: RunReport) -> Table | None:
    """Return load time and memory of each model, or None if they were not measured."""
    if not report.resources:
        return None

    stored = stored_sentence(report)

    def added(size: float | None) -> str:
        return megabytes(None if size is None else round(size))

    return Table(
        "Load time and memory",
        ("model", "load", "first run", "memory added", "peak process memory"),
        tuple(
            (
                NAMES.get(model.name, model.name),
                milliseconds(model.load_ns, 1),
                milliseconds(model.first_run_ns, 1),
                added(model.model_bytes),
                added(model.peak_bytes),
            )
            for model in report.resources
        ),
        (opened_sentence(report.resources), *([stored] if stored is not None else [])),
    )


def opened_sentence(resources: Sequence[Resources]) -> str:
    """Return how often each model was opened."""
    times_opened = max(len(model.loads) for model in resources)
    if times_opened == 1:
        return "Each model was opened once, in a process of its own."
    return f"Each model was opened in {times_opened} processes of its own; medians."


def stored_sentence(report: RunReport) -> str | None:
    """Return how many layers of a run's files are so, and what opening the files takes; None if none is."""
    count, layers = len(report.chosen.recipe.stored_nodes), report.chosen.layers
    if not count:
        return None
    text = f"{count:,}{f' of {layers:,}' if layers else ''} layers are {STORED}."
    loads = {model.name: model for model in report.resources}
    fp32, int8 = loads.get("fp32"), loads.get("int8")
    if fp32 is None or int8 is None:
        return text
    return f"{text} Opening the QLinear file takes {opening(int8)}; fp32 takes {opening(fp32)}."


def opening(resources: Resources) -> str:
    """Return the time to open a session and the memory that the model adds, in words."""
    memory = "" if resources.model_bytes is None else f" and {megabytes(round(resources.model_bytes))}"
    return f"{milliseconds(resources.load_ns, 1)}{memory}"
