"""Is a data set what it should be? Read, checked, and told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from quantize.data.check import DataCheck, check_data
from quantize.data.contact_sheet import contact_sheet
from quantize.data.images import open_images
from quantize.data.labels.calibration_list import read_calibration_list
from quantize.prediction.class_names import class_names
from quantize.progress import Progress, silent

_SHOWN = 5
_LARGEST_IMAGENET_LABEL = 999


@dataclass(frozen=True)
class DataCheckRequest:
    """A data set to be checked.

    Attributes:
        data_path: The images.
        label_path: Their labels; None: the container's own.
        calibration_list: Names of the calibration images; None: they are drawn later, apart from the others.
        classes: The model's number of classes, which labels must be below; None where it is not known.
        sheet: Where a page of small pictures goes; None: nowhere.
        workers: Processes that decode; None: one a core.
    """

    data_path: Path
    label_path: Path | None = None
    calibration_list: Path | None = None
    classes: int | None = None
    sheet: Path | None = None
    workers: int | None = None


def check_images(request: DataCheckRequest, *, progress: Progress = silent) -> DataCheck:
    """Read, hash and decode every image once, and return what was found; write the contact sheet where one is asked.

    Raises:
        DataError: Data or labels are missing or contradict each other.
    """
    images = open_images(request.data_path, request.label_path, classes=request.classes, progress=progress)
    ids = [record.id for record in images.records]
    named = request.calibration_list
    found = check_data(
        images,
        calibration=None if named is None else read_calibration_list(named, ids),
        workers=request.workers,
        progress=progress,
    )
    if request.sheet is not None:
        largest = max((label for label, _ in found.class_counts), default=0)
        known = class_names(_LARGEST_IMAGENET_LABEL + 1) if largest <= _LARGEST_IMAGENET_LABEL else None
        contact_sheet(images, request.sheet, class_names=(known or ()) if _is_imagenet(request, found) else ())
    return found


def data_check_json(found: DataCheck) -> str:
    """Return what was found as JSON."""
    return json.dumps({**asdict(found), "sound": found.sound}, indent=1, ensure_ascii=False)


def data_check_text(found: DataCheck, sheet: Path | None = None) -> str:
    """Return what was found as a person reads it."""
    rows = [("images", f"{found.images:,}"), ("classes", _classes(found)), *(("note", note) for note in found.notes)]
    rows += [("formats", _counts(found.formats)), ("modes", _counts(found.modes))]
    if found.shortest_side is not None:
        rows.append(("shortest side", f"{found.shortest_side:,} pixels"))
    if found.converted:
        shown = _some([f"{name} ({mode})" for name, mode in found.converted])
        rows.append(("not RGB", f"{len(found.converted):,}, converted when loaded: {shown}"))
    if found.turned:
        rows.append(("on their side", f"{len(found.turned):,}, stood upright when loaded: {_some(found.turned)}"))
    if found.unreadable:
        shown = _some([f"{image.id} ({image.reason})" for image in found.unreadable])
        rows.append(("UNREADABLE", f"{len(found.unreadable):,}: {shown}"))
    if found.duplicates:
        shown = _some([" = ".join(group.ids[:3]) for group in found.duplicates])
        rows.append(("copies", f"{len(found.duplicates):,} groups of the same bytes: {shown}"))
    if found.contradictions:
        shown = _some([f"{' = '.join(group.ids[:3])} (labels {group.labels})" for group in found.contradictions])
        rows.append(("CONTRADICTIONS", f"{len(found.contradictions):,} groups with different labels: {shown}"))
    if found.calibration is not None:
        rows.append(("calibration", f"{found.calibration:,} images"))
    if found.calibration_in_evaluation:
        leaks = found.calibration_in_evaluation
        rows.append(("CALIBRATION", f"{len(leaks):,} of these images, or copies, evaluate too: {_some(leaks)}"))
    if sheet is not None:
        rows.append(("contact sheet", str(sheet)))
    width = max(len(name) for name, _ in rows)
    verdict = "Sound." if found.sound else "Not sound: see the lines in capitals."
    return "\n".join([found.place, *(f"  {name:<{width}}  {text}" for name, text in rows), verdict])


def _is_imagenet(request: DataCheckRequest, found: DataCheck) -> bool:
    """Return whether labels are taken for ImageNet's: nothing says that there is another number of classes."""
    return bool(found.class_counts) and request.classes in (None, _LARGEST_IMAGENET_LABEL + 1)


def _classes(found: DataCheck) -> str:
    if not found.class_counts:
        return "no labels"
    counts = [count for _, count in found.class_counts]
    least, most = min(counts), max(counts)
    labels = f"labels {found.class_counts[0][0]} to {found.class_counts[-1][0]}"
    each = f"{least:,} each" if least == most else f"{least:,} to {most:,} each"
    return f"{len(counts):,}, {labels}, {each}"


def _counts(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts) or "none"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
