"""The images on which quantization changed the answer, as the report keeps them."""

from __future__ import annotations

from typing import Literal

from quantize.report.section import Section

SHOWN_FLIPS = 200
"""Flips that the report lists, those that fp32 was surest of first; ``flips.csv`` has all."""


class FlipSection(Section):
    """One image that fp32 and int8 answer differently.

    Attributes:
        id: The image.
        label: Its true class; None without labels.
        label_name: That class's name, where names are known.
        baseline: fp32's prediction.
        baseline_name: Its name.
        candidate: The int8 model's prediction.
        candidate_name: Its name.
        baseline_margin: fp32's highest score minus the next class's, in the model's unit.
        candidate_margin: The int8 model's.
        candidate_tied: How many classes share the int8 model's highest score (1: no tie).
        effect: What it does to top-1, ties as wrong; ``unknown`` without labels.
        thumbnail: The picture as the model sees it, a small JPEG in base 64; None beyond the first few.
    """

    id: str
    label: int | None
    label_name: str | None
    baseline: int
    baseline_name: str | None
    candidate: int
    candidate_name: str | None
    baseline_margin: float
    candidate_margin: float
    candidate_tied: int
    effect: Literal["lost", "gained", "still wrong", "still right", "unknown"]
    thumbnail: str | None = None


class ClassDropSection(Section):
    """A class whose drop is significant at 5 % after correction for the number of classes (Benjamini and Hochberg).

    Attributes:
        label: The class.
        name: Its name, where names are known.
        images: Its images.
        lost: Images that only fp32 gets right, ties as wrong.
        gained: Images that only the int8 model gets right.
        adjusted_p_value: One-sided exact McNemar test, corrected.
    """

    label: int
    name: str | None
    images: int
    lost: int
    gained: int
    adjusted_p_value: float


class FlipsSection(Section):
    """All flips of one written model.

    Attributes:
        role: The model.
        images: Images compared.
        count: Flips among them.
        effects: Number of flips with each effect.
        shown: The first of them, by fp32's margin.
        tested_classes: Classes with images, each tested for a drop; 0 without labels.
        dropped_classes: Those whose drop is significant.
        file: The complete list, relative to the run's folder.
    """

    role: Literal["int8", "qdq"]
    images: int
    count: int
    effects: dict[str, int]
    tested_classes: int = 0
    dropped_classes: tuple[ClassDropSection, ...] = ()
    shown: tuple[FlipSection, ...]
    file: str | None
