"""The figures that tolerances are about: their names, what they are measured in, which way is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from quantize.report.wording import megabytes, milliseconds, number, percent, points, seconds, times


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

ACCURACY = ("top1", "top5", "top1_drop", "top5_drop", "agreement", "kl", "tie_share")
"""Figures of a model's answers: sums that saturate change them."""

DROPS = ("top1_drop", "top5_drop")
"""Figures that are differences from fp32 already."""
