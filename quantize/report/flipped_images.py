"""The images that int8 answers differently: a limited list for the report, all of them in a file."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from quantize.data.crops.crops import Crops
from quantize.data.labels.classes import class_names
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.flips import Answer, Flip, class_drops, flips, significant_drops, write_flips
from quantize.evaluation.label_flips import label_drops, label_flips
from quantize.report.confusion import confusions
from quantize.report.data import SHOWN_FLIPS, ClassDropSection, FlipSection, FlipsSection
from quantize.report.schema import RunReport

_THUMBNAILS = 48
_SIDE = 112
_QUALITY = 70


def flips_section(
    baseline: Evaluation,
    candidate: Evaluation,
    *,
    role: Literal["int8", "qdq"],
    crops: Crops,
    file: Path,
    pictures: bool = True,
) -> FlipsSection:
    """Write every flip to a CSV file and return what the report says of them.

    Args:
        baseline: The fp32 model's evaluation.
        candidate: The written model's, on the same images.
        role: Which model that is.
        crops: Those images.
        file: The CSV file, in the run's folder.
        pictures: Whether the first ones are shown as the model sees them.

    Raises:
        DataError: The two were not evaluated on the same images.
    """
    of_labels = baseline.task == "labels"
    changed = label_flips(baseline, candidate) if of_labels else flips(baseline, candidate)
    names = names_of(candidate.classes)
    write_flips(file, changed, names)
    rows = {name: row for row, name in enumerate(crops.ids)}
    pictured = {flip.id for flip in changed[:_THUMBNAILS]} if pictures else set()
    shown = tuple(
        _section(flip, names, thumbnail(np.asarray(crops.array[rows[flip.id]])) if flip.id in pictured else None)
        for flip in changed[:SHOWN_FLIPS]
    )
    effects = dict(sorted(Counter(flip.effect for flip in changed).items()))
    tested = label_drops if of_labels else class_drops
    drops = tested(baseline, candidate) if baseline.labelled else ()
    return FlipsSection(
        role=role,
        images=candidate.n,
        count=len(changed),
        effects=effects,
        tested_classes=len(drops),
        dropped_classes=tuple(
            ClassDropSection(
                label=drop.label,
                name=names[drop.label] if names is not None else None,
                images=drop.n,
                lost=drop.lost,
                gained=drop.gained,
                adjusted_p_value=drop.adjusted_p_value,
            )
            for drop in significant_drops(drops)
        ),
        shown=shown,
        file=file.name,
        confusions=() if of_labels else confusions(baseline, candidate, names),
    )


def names_of(classes: int) -> Sequence[str] | None:
    """Return the classes' names in label order, or None if they are not known: only ImageNet's 1,000 are."""
    return class_names() if classes == len(class_names()) else None


def thumbnail(crop: npt.NDArray[np.uint8]) -> str:
    """Return a crop, uint8 (H, W, C), RGB or grey, as a JPEG of at most 112 pixels a side in base 64."""
    image = Image.fromarray(crop.squeeze(axis=2) if crop.shape[2] == 1 else crop)
    image.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def without_pictures(report: RunReport) -> RunReport:
    """Return a report without the pictures of its flipped images."""
    if report.flips is None:
        return report
    shown = tuple(flip.model_copy(update={"thumbnail": None}) for flip in report.flips.shown)
    return report.model_copy(update={"flips": report.flips.model_copy(update={"shown": shown})})


def _section(flip: Flip, names: Sequence[str] | None, picture: str | None) -> FlipSection:
    def named(label: Answer | None) -> str | None:
        if isinstance(label, tuple):
            return ", ".join(names[one] if names is not None else str(one) for one in label) or "none"
        return names[label] if names is not None and label is not None else None

    return FlipSection(
        id=flip.id,
        label=flip.label,
        label_name=named(flip.label),
        baseline=flip.baseline_prediction,
        baseline_name=named(flip.baseline_prediction),
        candidate=flip.candidate_prediction,
        candidate_name=named(flip.candidate_prediction),
        baseline_margin=flip.baseline_margin,
        candidate_margin=flip.candidate_margin,
        candidate_tied=flip.candidate_tied,
        effect=flip.effect,
        thumbnail=picture,
    )
