"""Finds the preprocessing that fits when the fp32 model gets almost every image wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from quantize.data.batches import Batches
from quantize.data.crops.crops import crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import PRESETS
from quantize.errors import ConfigError, DataError
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.evaluation import Evaluation, near_chance
from quantize.models.artifact import ModelArtifact
from quantize.models.contract import Task
from quantize.progress import Progress, silent

_PROBE_IMAGES = 300
_NAMES: dict[Task, str] = {"one class": "top-1", "yes or no": "accuracy", "labels": "mean average precision"}


@dataclass(frozen=True)
class PresetFit:
    """How often the fp32 model is right with one preset.

    Attributes:
        preset: Its name.
        accuracy: Expected top-1, or the mean average precision of labels, a fraction.
        images: Images it was measured on.
        believable: Whether that is more than chance.
    """

    preset: str
    accuracy: float
    images: int
    believable: bool


def probe_presets(
    model: ModelArtifact,
    images: ImageSet,
    cache: Path,
    *,
    threads: int,
    workers: int | None = None,
    progress: Progress = silent,
) -> tuple[PresetFit, ...]:
    """Return every preset's fit on up to 300 images spread over the set, best first.

    A preset that does not fit the model's input size is left out.
    """
    step = max(1, len(images) // _PROBE_IMAGES)
    few = images.subset(range(0, len(images), step)[:_PROBE_IMAGES])
    fits = []
    for name, preset in PRESETS.items():
        try:
            preprocessing = preset.for_input(model.contract.image_size, model.contract.channels)
        except ConfigError:
            continue
        crops = crop_images(few, preprocessing, cache, workers=workers, skip_unreadable=True, progress=progress)
        evaluation = evaluate(
            model, Batches(crops, preprocessing, 16), threads=threads, skipped=crops.skipped, progress=progress
        )
        fits.append(PresetFit(name, evaluation.accuracy, evaluation.n, not near_chance(evaluation)))
    return tuple(sorted(fits, key=lambda fit: fit.accuracy, reverse=True))


def refuse_chance(evaluation: Evaluation, *, asked_for: str | None, fits: Sequence[PresetFit]) -> NoReturn:
    """Refuse a baseline near chance level, and say which preset fits.

    Args:
        evaluation: The fp32 model on the evaluation images.
        asked_for: Name of the preset that was used, or None.
        fits: From ``probe_presets``.

    Raises:
        DataError: Always; call it where ``near_chance`` holds.
    """
    name = _NAMES[evaluation.task]
    accuracy = f"{name} {100 * evaluation.accuracy:.1f} % on {evaluation.n} images with " + (
        f"the preset '{asked_for}'" if asked_for else "the preprocessing of the configuration"
    )
    tried = "; ".join(f"with '{fit.preset}': {100 * fit.accuracy:.1f} % on {fit.images} images" for fit in fits)
    best = fits[0] if fits else None
    if best is not None and best.believable and best.preset != asked_for:
        advice = f"use --preset {best.preset} (tried: {tried})"
    else:
        advice = f"check that the labels belong to this model, and its preprocessing (tried: {tried})"
    raise DataError(
        "the fp32 model is right no more often than chance: the preprocessing or the labels are wrong",
        found=accuracy,
        expected="far more than chance"
        + (f" (1 of {evaluation.classes} classes)" if evaluation.metric == "top1" else ""),
        advice=advice,
    )
