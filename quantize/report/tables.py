"""The tables of a report, as rows of words: the terminal, Markdown and HTML draw the same ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from quantize.evaluation.paired import PairedComparison
from quantize.evaluation.summary import EvaluationSummary
from quantize.measurement.timing.doubts import doubts
from quantize.measurement.timing.measurement import Latency, latency, speedups
from quantize.measurement.timing.speedup import Speedup
from quantize.report.flips import FlipsSection
from quantize.report.machine import machine_table
from quantize.report.models import AccuracySection
from quantize.report.placement_table import placement_table
from quantize.report.schema import RunReport
from quantize.report.search_tables import engines_table, prediction_table, search_stages_table
from quantize.report.stored import stored_sentence
from quantize.report.table import NAMES, Table
from quantize.report.trials import RewriteSection, TrialSection
from quantize.report.wording import (
    NOTHING,
    bounds,
    megabytes,
    milliseconds,
    number,
    p_value,
    percent,
    points,
    seconds,
    times,
)

__all__ = ["NAMES", "Table"]


def report_tables(report: RunReport) -> tuple[Table, ...]:
    """Return every table that a report has, in the order that a person reads them."""
    found = (
        accuracy_table(report),
        drop_table(report),
        speed_table(report),
        machine_table(report.machine),
        engines_table(report),
        doubts_table(report),
        resources_table(report),
        flips_table(report),
        trials_table(report),
        placement_table(report),
        prediction_table(report),
        search_stages_table(report),
        rewrites_table(report),
        stages_table(report),
    )
    return tuple(table for table in found if table is not None)


def accuracy_table(report: RunReport) -> Table:
    """Return each model's accuracy on the images of the trials, and on those that no trial saw."""
    rows: list[tuple[str, AccuracySection]] = []
    for model in (report.baseline, *report.models):
        rows.append((NAMES[model.role], model.selection))
        if model.certification is not None:
            rows.append((f"{NAMES[model.role]}, unseen", model.certification))
    data = report.data
    notes = [
        f"{data.evaluation:,} evaluation images, {data.calibration:,} calibration images "
        + ("(which are among them)." if data.calibration_in_evaluation else "(not among them)."),
    ]
    if report.criterion.metric == "none":
        notes.append("Scores of this graph mean nothing here (--criterion none): agreement may be chance.")
    elif not data.labelled:
        notes.append("The images have no labels: agreement with fp32's top-1 decides.")
    if data.certification:
        notes.append(f"unseen: the {data.certification:,} images that no trial saw; the verdict rests on them.")
    else:
        notes.append("Selected and measured on the same images.")
    if report.input_contract is not None:
        notes.append(report.input_contract.sentence)
    table = accuracy_rows(rows, notes)
    published = tuple(
        (f"{NAMES[one.role]}, published", percent(one.top1), percent(one.top5), NOTHING, NOTHING, NOTHING)
        for one in report.source.published
    )
    if not published:
        return table
    sources = "; ".join(dict.fromkeys(one.source for one in report.source.published))
    note = f"published: {sources}; on the 50,000 images of ILSVRC2012 validation, not on the images of this run."
    return replace(table, rows=table.rows + published, notes=(*table.notes, note))


def accuracy_rows(sections: Iterable[tuple[str, AccuracySection]], notes: Iterable[str] = ()) -> Table:
    """Return a row of accuracy and fidelity for each named section."""
    return Table(
        "Accuracy",
        ("model", "top-1", "top-5", "agreement", "ties", "KL"),
        tuple(_accuracy_row(name, section.evaluation) for name, section in sections),
        (
            *notes,
            "Top-1 and top-5: the expectation if ties fall at random. Ties: images whose highest score is shared. "
            "Agreement: the same top-1 as fp32. KL: mean KL(fp32 || model).",
        ),
    )


def drop_table(report: RunReport) -> Table | None:
    """Return each int8 model's paired drop of top-1 with its intervals, or None without labels."""
    return drop_rows((NAMES[model.role], model.deciding.top1) for model in report.models)


def drop_rows(pairs: Iterable[tuple[str, PairedComparison | None]]) -> Table | None:
    """Return a row for each named comparison that there is, or None where there is none."""
    rows = tuple(_drop_row(name, paired) for name, paired in pairs if paired is not None)
    if not rows:
        return None
    return Table(
        "Top-1 drop against fp32 (positive is worse)",
        ("model", "points", "95 %", "relative", "95 %", "lost/won", "p"),
        rows,
        (
            "Intervals: Tango's and Nam and Blackwelder's score intervals, ties counted as wrong. lost/won: images "
            "that only fp32, or only int8, gets right. p: exact McNemar test.",
        ),
    )


def speed_table(report: RunReport) -> Table | None:
    """Return each model's latency and speed-up, or None where nothing was measured."""
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
                f"{times(gain.ratio)} {bounds(gain.low, gain.high)}" if gain else "baseline",
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
            f"onnxruntime {measurement.environment.onnxruntime}; alternating blocks in one process.",
            report.cpus,
        ),
    )


def flips_table(report: RunReport) -> Table | None:
    """Return how many images changed their answer and what that did, or None where nothing was compared."""
    flips = report.flips
    if flips is None:
        return None
    return Table(
        "Images that int8 answers differently",
        ("effect on top-1", "images"),
        tuple((effect, f"{count:,}") for effect, count in flips.effects.items()),
        (
            f"{flips.count:,} of {flips.images:,} images" + (f"; all in {flips.file}." if flips.file else "."),
            *_classes_note(flips),
        ),
    )


def _classes_note(flips: FlipsSection) -> tuple[str, ...]:
    if not flips.tested_classes:
        return ()
    tested = f"of {flips.tested_classes:,} classes tested (exact McNemar test, 5 % after Benjamini and Hochberg)"
    if not flips.dropped_classes:
        return (f"No class loses significantly, {tested}.",)
    worst = ", ".join(
        f"{drop.name or drop.label} ({drop.lost} lost, {drop.gained} won of {drop.images})"
        for drop in flips.dropped_classes[:10]
    )
    return (f"{len(flips.dropped_classes):,} classes lose significantly, {tested}: {worst}.",)


def doubts_table(report: RunReport) -> Table | None:
    """Return what makes the latencies doubtful, or None where nothing does."""
    found = doubts(report.measurement) if report.measurement is not None else ()
    if not found:
        return None
    return Table(
        "Doubts about the latencies",
        ("doubt", "found", "what to do"),
        tuple((doubt.name, doubt.text, doubt.advice) for doubt in found),
        prose=True,
    )


def resources_table(report: RunReport) -> Table | None:
    """Return load time and memory of each model, or None where they were not measured."""
    if not report.resources:
        return None

    stored = stored_sentence(report)

    def added(size: float | None) -> str:
        return megabytes(None if size is None else round(size))

    return Table(
        "Load time and memory",
        ("model", "load", "first run", "memory added", "process at most"),
        tuple(
            (
                NAMES.get(one.name, one.name),
                milliseconds(one.load_ns, 1),
                milliseconds(one.first_run_ns, 1),
                added(one.model_bytes),
                added(one.peak_bytes),
            )
            for one in report.resources
        ),
        ("Each model in processes of its own; medians of three.", *([stored] if stored is not None else [])),
    )


def trials_table(report: RunReport) -> Table:
    """Return every trial in order."""
    lost = {one.trial for one in report.lost}
    rows = tuple(
        (
            f"{trial.index}{' *' if trial.index == report.chosen.trial else ''}",
            trial.recipe_id,
            percent(trial.metric),
            percent(trial.agreement),
            percent(trial.integer_share, 0),
            seconds(trial.seconds),
            _outcome(trial, lost),
        )
        for trial in report.trials
    )
    metric = {"top1": "top-1", "agreement": "agreement", "none": "metric"}[report.criterion.metric]
    return Table(
        "Trials",
        ("trial", "recipe", metric, "agreement", "ops in int8", "time", "criterion"),
        rows,
        ("* the one that the files were built from.",),
    )


def _outcome(trial: TrialSection, lost: Collection[int]) -> str:
    text = "met" if trial.met else (f"failed: {trial.failure.stage}" if trial.failure else "not met")
    if trial.index in lost:
        text += ", its files not"
    return text if trial.repeats is None else f"{text} (the graph of {trial.repeats}, not run again)"


def rewrites_table(report: RunReport) -> Table | None:
    """Return what each graph rewrite did, or None where none was tried."""
    if not report.rewrites:
        return None
    rows = tuple(
        (
            one.name,
            "kept" if one.kept else "left out",
            ", ".join(f"{speed.format} {times(speed.ratio)}" for speed in one.speed) or NOTHING,
            one.reason or f"{len(one.nodes)} nodes, {one.declared}{_agreement_moved(one)}",
        )
        for one in report.rewrites
    )
    return Table("Rewrites", ("rewrite", "decision", "faster by", "because"), rows, prose=True)


def _agreement_moved(one: RewriteSection) -> str:
    moved = one.agreement_change
    return "" if one.declared == "exact" or moved is None else f", agreement {points(moved)} points"


def stages_table(report: RunReport) -> Table:
    """Return how long each stage of the run took."""
    return Table(
        "Where the time went", ("stage", "time"), tuple((one.name, seconds(one.seconds)) for one in report.stages)
    )


def _accuracy_row(name: str, found: EvaluationSummary) -> tuple[str, ...]:
    fidelity = found.fidelity
    return (
        name,
        percent(found.top1.expected if found.top1 else None),
        percent(found.top5.expected if found.top5 else None),
        percent(fidelity.agreement if fidelity else None),
        percent(found.tied_share),
        number(fidelity.mean_kl if fidelity else None),
    )


def _drop_row(name: str, paired: PairedComparison) -> tuple[str, ...]:
    relative = paired.relative_drop_interval
    return (
        name,
        points(paired.drop),
        bounds(paired.drop_interval.low, paired.drop_interval.high, factor=100),
        percent(paired.relative_drop),
        bounds(relative.low, relative.high, factor=100) if relative else NOTHING,
        f"{paired.lost}/{paired.gained}",
        p_value(paired.p_value),
    )
