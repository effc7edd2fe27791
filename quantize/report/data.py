"""The images of a run: how they were used and preprocessed, and which ones int8 answers differently."""

from __future__ import annotations

from typing import Literal

from quantize.data.preprocessing import PRESETS
from quantize.report.confusion import ConfusionSection
from quantize.report.section import Section

_PARTS = ("resize_mode", "interpolation", "channel_order", "scale", "mean", "std")


class SkippedImage(Section):
    """An image that could not be read and was left out because the user said so."""

    id: str
    reason: str


_LISTED_SKIPPED = 100


class DataSection(Section):
    """The images and how they were divided.

    Attributes:
        path: The folder, as the user named it.
        labels: The label file, or None.
        labelled: Whether the true classes are known.
        images: Images found.
        calibration: Images that ranges were taken from.
        evaluation: Images that trials were evaluated on.
        certification: Images that no trial saw, kept for the chosen model; 0 where none were kept.
        calibration_in_evaluation: Whether calibration images are among the evaluation images.
        skipped: Images left out.
        demonstration: Whether these are the packaged photographs, which prove the machinery and not the accuracy.
        notes: What a reader should know about the images.
    """

    path: str
    labels: str | None
    labelled: bool
    images: int
    calibration: int
    evaluation: int
    certification: int
    calibration_in_evaluation: bool
    skipped: tuple[SkippedImage, ...]
    demonstration: bool
    notes: tuple[str, ...]

    @property
    def listed_skipped(self) -> tuple[SkippedImage, ...]:
        """Return the images left out that a page or a Markdown file lists: the first 100."""
        return self.skipped[:_LISTED_SKIPPED]

    @property
    def more_skipped(self) -> str | None:
        """Return a sentence on the others, or None if all are listed."""
        more = len(self.skipped) - _LISTED_SKIPPED
        return f"{more:,} more are listed in report.json." if more > 0 else None


class PreprocessingSection(Section):
    """How an image becomes the model's input: ``(value * scale - mean) / std``, RGB or grey, then the swap to BGR."""

    preset: str | None
    resize: int | None
    resize_mode: str
    crop: int | None
    interpolation: str
    channel_order: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def preprocessing_name(section: PreprocessingSection) -> str:
    """Return what a person calls a preprocessing: its preset and what of it is changed, or what there is to say.

    Sizes are not compared: they follow the model's input.
    """
    if section.preset is not None:
        whole = PRESETS.get(section.preset)
        grey = ("channel_order",) if section.channel_order == "L" else ()
        changed = [
            part
            for part in _PARTS
            if whole is not None and part not in grey and _values(section, part) != _values(whole, part)
        ]
        return section.preset + (f" with another {', '.join(changed)}" if changed else "") + (", grey" if grey else "")
    pixels = section.scale == 1.0 and not any(section.mean) and set(section.std) == {1.0}
    return f"none: {section.channel_order} pixels as they are" if pixels else "custom"


def _values(preprocessing: object, part: str) -> object:
    """Return a part of a preprocessing; a number for grey is the same as three of it for the colours."""
    value = getattr(preprocessing, part)
    return value * 3 if isinstance(value, tuple) and len(value) == 1 else value


class InputContractSection(Section):
    """The normalization folded into the first Conv of both models.

    Attributes:
        contract: What the written models take.
        images: Images that the scores were compared on, before and after.
        fp32_moved: Root mean square of the differences of the fp32 model's scores over that of its scores before.
        fp32_within: The largest move that is accepted.
        int8_moved: The same of the quantized model, before its rewrites.
        int8_within: The largest move that is accepted.
        predictions_changed: Compared images whose top-1 the fold changed in the quantized model.
    """

    contract: str
    images: int
    fp32_moved: float
    fp32_within: float
    int8_moved: float
    int8_within: float
    predictions_changed: int

    @property
    def sentence(self) -> str:
        """Return what a person wants to know of it."""
        taken = _WORDS.get(self.contract, self.contract)
        return (
            f"The written models take {taken} (--input_contract {self.contract}), and "
            f"so does the fp32 model that they are compared with. That moved the scores of {self.images} images by "
            f"{self.fp32_moved:.1g} of their root mean square in fp32 and by {self.int8_moved:.1g} in int8 "
            f"(accepted: {self.fp32_within:g} and {self.int8_within:g})."
        )


_WORDS = {
    "uint8-nhwc": "pixels as they are decoded, channels last",
    "uint8-nchw": "pixels, channels first",
    "imagenet": "floats as the preset imagenet normalizes them",
}


SHOWN_FLIPS = 200
"""Flips that the report lists, those that fp32 was surest of first; ``flips.csv`` has all."""


class AnswerSection(Section):
    """One of a model's three likeliest classes.

    Attributes:
        label: The class.
        name: Its name, where names are known.
        probability: By the model's softmax, a fraction.
    """

    label: int
    name: str | None
    probability: float


class FlipSection(Section):
    """One image that fp32 and int8 answer differently.

    Attributes:
        id: The image.
        label: Its true class, or its labels; None without labels.
        label_name: That class's name, where names are known.
        baseline: fp32's prediction.
        baseline_name: Its name.
        candidate: The int8 model's prediction.
        candidate_name: Its name.
        baseline_margin: fp32's highest score minus the next class's, in the model's unit.
        candidate_margin: The int8 model's.
        candidate_tied: How many classes share the int8 model's highest score (1: no tie).
        effect: What it does to the answer (of labels: to having them all right), ties as wrong; ``unknown`` without
            labels.
        thumbnail: The picture as the model sees it, a small JPEG in base 64; None beyond the first few.
        baseline_top3: fp32's three likeliest classes; empty beyond the first few, and for labels.
        candidate_top3: The int8 model's.
    """

    id: str
    label: int | tuple[int, ...] | None
    label_name: str | None
    baseline: int | tuple[int, ...]
    baseline_name: str | None
    candidate: int | tuple[int, ...]
    candidate_name: str | None
    baseline_margin: float
    candidate_margin: float
    candidate_tied: int
    effect: Literal["lost", "gained", "still wrong", "still right", "unknown"]
    thumbnail: str | None = None
    baseline_top3: tuple[AnswerSection, ...] = ()
    candidate_top3: tuple[AnswerSection, ...] = ()


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
        confusions: Classes that are taken for each other; empty for labels, and in reports of earlier versions.
    """

    role: Literal["int8", "qdq"]
    images: int
    count: int
    effects: dict[str, int]
    tested_classes: int = 0
    dropped_classes: tuple[ClassDropSection, ...] = ()
    shown: tuple[FlipSection, ...]
    file: str | None
    confusions: tuple[ConfusionSection, ...] = ()
