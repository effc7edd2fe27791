"""The images of a run: which were used for what, which were skipped and why."""

from __future__ import annotations

from quantize.data.preprocessing import PRESETS
from quantize.report.section import Section

_PARTS = ("resize_mode", "interpolation", "channel_order", "scale", "mean", "std")


class SkippedImage(Section):
    """An image that could not be read and was left out because the user said so."""

    id: str
    reason: str


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


class PreprocessingSection(Section):
    """How an image becomes the model's input: ``(value * scale - mean) / std``, RGB, then the swap to BGR."""

    preset: str | None
    resize: int | None
    resize_mode: str
    crop: int | None
    interpolation: str
    channel_order: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def preprocessing_name(section: PreprocessingSection) -> str:
    """Return what a person calls a preprocessing: its preset and what of it is changed, or what there is to say.

    Sizes are not compared: they follow the model's input.
    """
    if section.preset is not None:
        whole = PRESETS.get(section.preset)
        changed = [part for part in _PARTS if whole is not None and getattr(section, part) != getattr(whole, part)]
        return section.preset + (f" with another {', '.join(changed)}" if changed else "")
    pixels = (section.scale, section.mean, section.std) == (1.0, (0.0,) * 3, (1.0,) * 3)
    return f"none: {section.channel_order} pixels as they are" if pixels else "custom"
