"""The figures that tolerances apply to: their names, their units, and which direction is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from quantize.gate.document import ReportDocument
from quantize.gate.machine import target_of
from quantize.report.table import NAMES
from quantize.report.wording import megabytes, milliseconds, number, percent, points, seconds, times
from quantize.target import CpuClass


@dataclass(frozen=True)
class Figure:
    """One figure of a model or of a run.

    Attributes:
        name: What tolerances and baselines call it.
        title: What a person calls it.
        better: Which way is better.
        shown: The value as text.
        of_machine: It depends on the machine: only like machines are compared.
        of_target: It says nothing on CPUs that the models are not for.
        needs_labels: It does not exist without labels.
        of_run: It belongs to the run, not to each model.
    """

    name: str
    title: str
    better: Literal["higher", "lower"]
    shown: Callable[[float], str]
    of_machine: bool = False
    of_target: bool = False
    needs_labels: bool = False
    of_run: bool = False


def _bytes(value: float) -> str:
    return megabytes(round(value))


_FIGURES = (
    Figure("top1", "top-1", "higher", percent, needs_labels=True),
    Figure("top5", "top-5", "higher", percent, needs_labels=True),
    Figure("top1_drop", "top-1 drop", "lower", points, needs_labels=True),
    Figure("top5_drop", "top-5 drop", "lower", points, needs_labels=True),
    Figure("map", "mAP", "higher", percent, needs_labels=True),
    Figure("map_drop", "mAP drop", "lower", points, needs_labels=True),
    Figure("agreement", "agreement with fp32", "higher", percent),
    Figure("kl", "KL(fp32 || model)", "lower", number),
    Figure("tie_share", "images with tied top scores", "lower", percent),
    Figure("speedup", "speed-up over fp32", "higher", times, of_machine=True, of_target=True),
    Figure("latency_p50", "latency, p50", "lower", milliseconds, of_machine=True, of_target=True),
    Figure("latency_p99", "latency, p99", "lower", milliseconds, of_machine=True, of_target=True),
    Figure("size", "file size", "lower", _bytes),
    Figure("peak_memory", "memory added at its peak", "lower", _bytes, of_machine=True),
    Figure("integer_share", "multiply-adds in int8", "higher", percent),
    Figure("tuning_time", "time of the whole run", "lower", seconds, of_machine=True, of_run=True),
)

FIGURES: Mapping[str, Figure] = MappingProxyType({figure.name: figure for figure in _FIGURES})
"""Every figure by name, in the order in which a check lists them."""

ACCURACY = ("top1", "top5", "top1_drop", "top5_drop", "map", "map_drop", "agreement", "kl", "tie_share")
"""Figures of a model's answers: sums that saturate change them."""

DROPS = ("top1_drop", "top5_drop", "map_drop")
"""Figures that are differences from fp32 already."""


def not_applicable(document: ReportDocument, role: str, figure: Figure) -> str | None:
    """Return why a figure cannot exist in this run, or None if it can."""
    if figure.needs_labels and document.at("data", "labelled") is False:
        return "the images have no labels"
    classes = document.deciding(role).at("evaluation", "classes")
    if figure.name.startswith("top") and task_of(document) == "labels":
        return "the model gives several labels: map and map_drop say how well"
    if figure.name.startswith("top5") and isinstance(classes, int) and classes <= 5:
        return "the model has five classes or fewer"
    return None


def task_of(document: ReportDocument) -> str:
    """Return what the models of a run say of an image; reports of earlier versions know classes only."""
    return document.deciding("fp32").text("evaluation", "task") or "one class"


def is_of_task(document: ReportDocument, figure: Figure) -> bool:
    """Return whether a run can have a figure at all: mean average precision is of labels only."""
    return not figure.name.startswith("map") or task_of(document) == "labels"


def unbound(document: ReportDocument, classes: Sequence[CpuClass] | None) -> str | None:
    """Return why a tolerance for some classes of CPUs does not bind for this run, or None if it does."""
    target = target_of(document)
    if classes is None or target in classes:
        return None
    return f"applies to {', '.join(classes)} only: this run's models are for {target}"


def title_of(role: str, figure: Figure, document: ReportDocument) -> str:
    """Return a figure of a model as a person calls it: of a model of one score, top-1 is its accuracy."""
    if figure.name.startswith("top1") and task_of(document) == "yes or no":
        return f"{NAMES.get(role, role)}: {figure.title.replace('top-1', 'accuracy')}"
    return figure.title if figure.of_run else f"{NAMES.get(role, role)}: {figure.title}"
