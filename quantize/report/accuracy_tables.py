"""Tables of accuracy: each model's, the loss against fp32, and the images that int8 answers differently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from quantize.evaluation.paired import PairedComparison
from quantize.evaluation.paired_precision import PrecisionComparison
from quantize.evaluation.summary import EvaluationSummary
from quantize.models.contract import Task
from quantize.report.data import FlipsSection
from quantize.report.models import AccuracySection
from quantize.report.schema import RunReport
from quantize.report.table import NAMES, Table
from quantize.report.task_words import words
from quantize.report.wording import (
    NOTHING,
    bounds,
    number,
    p_value,
    percent,
    points,
)

_EFFECT: Mapping[Task, str] = {"one class": "top-1", "yes or no": "the answer", "labels": "having all labels right"}


def accuracy_table(report: RunReport) -> Table:
    """Return each model's accuracy on the images of the trials, and on those that no trial saw."""
    rows: list[tuple[str, AccuracySection]] = []
    for model in (report.baseline, *report.models):
        rows.append((NAMES[model.role], model.selection))
        if model.certification is not None:
            rows.append((f"{NAMES[model.role]}, unseen", model.certification))
    data = report.data
    which = "of them" if data.calibration_in_evaluation else "others"
    notes = [f"{data.evaluation:,} evaluation images; the models were calibrated on {data.calibration:,} {which}."]
    if report.criterion.metric == "none":
        notes.append("This graph's scores mean nothing here (--criterion none), so agreement may be chance.")
    elif not data.labelled:
        same = words(report.task).same
        notes.append(f"The images have no labels: agreement with {same} decides.")
    if data.certification:
        notes.append(f"Unseen: the {data.certification:,} images that no trial used; the verdict rests on them.")
    else:
        notes.append("The models were chosen and judged on the same images.")
    if report.scores is not None:
        notes += report.scores.sentences
    if report.input_contract is not None:
        notes.append(report.input_contract.sentence)
    table = accuracy_rows(rows, notes)
    if not words(report.task).has_top5:
        return table
    published = tuple(
        (f"{NAMES[figures.role]}, published", percent(figures.top1), percent(figures.top5), NOTHING, NOTHING, NOTHING)
        for figures in report.source.published
    )
    if not published:
        return table
    sources = "; ".join(dict.fromkeys(figures.source for figures in report.source.published))
    note = f"Published: {sources}, on the 50,000 images of ILSVRC2012 validation, not on those of this run."
    return replace(table, rows=table.rows + published, notes=(*table.notes, note))


def accuracy_rows(sections: Iterable[tuple[str, AccuracySection]], notes: Iterable[str] = ()) -> Table:
    """Return a row of accuracy and fidelity for each named section."""
    sections = list(sections)
    task = words(sections[0][1].evaluation.task)
    compared = any(section.evaluation.fidelity is not None for _, section in sections)
    nearness = f" Agreement: {task.agreement}. KL: mean KL divergence from fp32's probabilities." if compared else ""
    first = ("model", task.accuracy, *(("top-5",) if task.has_top5 else ()))
    return Table(
        "Accuracy",
        (*first, *(("agreement", "ties", "KL") if compared else ("ties",))),
        tuple(_accuracy_row(name, section.evaluation, compared=compared) for name, section in sections),
        (*notes, f"{task.explained}{nearness}"),
    )


def drop_table(report: RunReport) -> Table | None:
    """Return each int8 model's paired drop of accuracy with its intervals, or None without labels."""
    return drop_rows((NAMES[model.role], model.deciding) for model in report.models)


def drop_rows(sections: Iterable[tuple[str, AccuracySection]]) -> Table | None:
    """Return a table with a row for each comparison that was made, or None if none was."""
    sections = list(sections)
    paired = [(name, section.top1) for name, section in sections if section.top1 is not None]
    precise = [(name, own) for name, section in sections if (own := section.mean_average_precision) is not None]
    if precise:
        return _precision_drops(precise)
    if not paired:
        return None
    rows = tuple(_drop_row(name, own) for name, own in paired)
    accuracy = words(sections[0][1].evaluation.task).accuracy
    return Table(
        f"{accuracy[0].upper()}{accuracy[1:]} drop against fp32 (positive is worse)",
        ("model", "points", "95 %", "relative", "95 %", "lost/won", "p"),
        rows,
        (
            "Intervals: score intervals by Tango (points), and by Nam and Blackwelder (relative); ties count as wrong. "
            "Lost: images that only fp32 gets right; won: images that only int8 gets right. p: exact McNemar test.",
        ),
    )


def _precision_drops(pairs: Sequence[tuple[str, PrecisionComparison]]) -> Table:
    rows = tuple(
        (
            name,
            percent(paired.candidate_expected),
            points(paired.drop),
            bounds(paired.drop_interval.low, paired.drop_interval.high, factor=100),
            percent(paired.relative_drop),
            bounds(relative.low, relative.high, factor=100)
            if (relative := paired.relative_drop_interval) is not None
            else NOTHING,
        )
        for name, paired in pairs
    )
    return Table(
        "mAP drop against fp32 (positive is worse)",
        ("model", "mAP", "points", "95 %", "relative", "95 %"),
        rows,
        (
            f"mAP is the mean over {pairs[0][1].labels:,} labels. Intervals: a bootstrap over the images, the same for "
            "both models.",
        ),
    )


def flips_table(report: RunReport) -> Table | None:
    """Return how many images changed their answer and what that did, or None if nothing was compared."""
    flips = report.flips
    if flips is None:
        return None
    return Table(
        "Images that int8 answers differently",
        (f"effect on {_EFFECT[report.task]}", "images"),
        tuple((effect, f"{count:,}") for effect, count in flips.effects.items()),
        (
            f"{flips.count:,} of {flips.images:,} images" + (f"; all in {flips.file}." if flips.file else "."),
            *_classes_note(flips),
        ),
    )


_CONFUSED = 15


def confusion_table(report: RunReport) -> Table | None:
    """Return the classes that are taken for each other, what changed most first; None if nobody counted."""
    flips = report.flips
    if flips is None or not flips.confusions:
        return None
    rows = tuple(
        (
            str(one.label_name or one.label),
            str(one.answer_name or one.answer),
            *((f"{one.fp32:,}",) if report.data.labelled else ()),
            f"{one.int8:,}",
            *((_change(one.int8 - one.fp32),) if report.data.labelled else ()),
        )
        for one in flips.confusions[:_CONFUSED]
    )
    if not report.data.labelled:
        return Table("Classes that int8 takes for others", ("fp32 says", "int8 says", "images"), rows, prose=True)
    columns = ("true class", "taken for", "by fp32", "by int8", "change")
    notes = ("Number of images; the pairs that changed most come first.",)
    return Table("Confusion between classes", columns, rows, notes, prose=True)


def _change(images: int) -> str:
    return f"{images:+,}" if images else "0"


def _classes_note(flips: FlipsSection) -> tuple[str, ...]:
    if not flips.tested_classes:
        return ()
    tested = f"of {flips.tested_classes:,} tested (exact McNemar test, 5 % false discoveries by Benjamini and Hochberg)"
    if not flips.dropped_classes:
        return (f"No class loses accuracy significantly, {tested}.",)
    worst = ", ".join(
        f"{drop.name or drop.label} ({drop.lost} lost, {drop.gained} gained, of {drop.images})"
        for drop in flips.dropped_classes[:10]
    )
    return (f"{len(flips.dropped_classes):,} classes lose accuracy significantly, {tested}: {worst}.",)


def _accuracy_row(name: str, evaluation: EvaluationSummary, *, compared: bool) -> tuple[str, ...]:
    fidelity = evaluation.fidelity
    top5 = (percent(evaluation.top5.expected if evaluation.top5 else None),) if words(evaluation.task).has_top5 else ()
    first = (name, percent(evaluation.accuracy.expected if evaluation.accuracy else None), *top5)
    ties = percent(evaluation.tied_share)
    if not compared:
        return (*first, ties)
    agreement = percent(fidelity.agreement if fidelity else None)
    return (*first, agreement, ties, number(fidelity.mean_kl if fidelity else None))


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
