"""Check a data set by reading every image once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from quantize.data.check import DataCheck, check_data
from quantize.data.contact_sheet import contact_sheet
from quantize.data.containers.registry import open_images
from quantize.data.split import read_calibration_list
from quantize.prediction.class_names import class_names
from quantize.progress import Progress, silent
from quantize.quoting import quoted, sentence

_SHOWN = 5
_LARGEST_IMAGENET_LABEL = 999


def check_images(
    data_path: Path,
    label_path: Path | None = None,
    calibration_list: Path | None = None,
    *,
    classes: int | None = None,
    sheet: Path | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> DataCheck:
    """Read, hash and decode every image once, and return what they are; write a contact sheet where one is wanted.

    Args:
        data_path: The images.
        label_path: Their labels; None: the container's own.
        calibration_list: Names of the calibration images; None: they are drawn later, apart from the others.
        classes: The model's number of classes, which labels must be below; None if it is not known.
        sheet: Where a page of small pictures goes; None: nowhere.
        workers: Processes that decode; None: one a core.
        progress: Called after every image.

    Raises:
        DataError: Data or labels are missing or contradict each other.
    """
    images = open_images(data_path, label_path, classes=classes, several=None, progress=progress)
    ids = [record.id for record in images.records]
    checked = check_data(
        images,
        calibration=None if calibration_list is None else read_calibration_list(calibration_list, ids),
        workers=workers,
        progress=progress,
    )
    if sheet is not None:
        largest = max((label for label, _ in checked.class_counts), default=0)
        known = class_names(_LARGEST_IMAGENET_LABEL + 1) if largest <= _LARGEST_IMAGENET_LABEL else None
        contact_sheet(images, sheet, class_names=(known or ()) if _is_imagenet(checked, classes) else ())
    return checked


def data_check_json(checked: DataCheck) -> str:
    """Return the check as JSON."""
    return json.dumps({**asdict(checked), "sound": checked.sound}, indent=1, ensure_ascii=False)


def data_check_text(checked: DataCheck, sheet: Path | None = None) -> str:
    """Return the check as a person reads it."""
    rows = [
        ("images", f"{checked.images:,}"),
        ("classes", _classes(checked)),
        *(("note", sentence(note)) for note in checked.notes),
    ]
    rows += [("formats", _counts(checked.formats)), ("modes", _counts(checked.modes))]
    if checked.shortest_side is not None:
        rows.append(("shortest side", f"{checked.shortest_side:,} pixels"))
    if checked.converted:
        shown = _some([f"{name} ({mode})" for name, mode in checked.converted])
        rows.append(("not RGB", f"{len(checked.converted):,}, converted when loaded: {shown}"))
    if checked.turned:
        rows.append(("rotated", f"{len(checked.turned):,}, turned upright when loaded: {_some(checked.turned)}"))
    if checked.unreadable:
        shown = _some([f"{image.id} ({image.reason})" for image in checked.unreadable])
        rows.append(("UNREADABLE", f"{len(checked.unreadable):,}: {shown}"))
    if checked.duplicates:
        shown = _some([" = ".join(group.ids[:3]) for group in checked.duplicates])
        rows.append(("copies", f"{len(checked.duplicates):,} groups of identical files: {shown}"))
    if checked.contradictions:
        shown = _some([f"{' = '.join(group.ids[:3])} (labels {group.labels})" for group in checked.contradictions])
        rows.append(("CONTRADICTIONS", f"{len(checked.contradictions):,} groups with different labels: {shown}"))
    if checked.calibration is not None:
        rows.append(("calibration", f"{checked.calibration:,} images"))
    if checked.calibration_in_evaluation:
        leaks = checked.calibration_in_evaluation
        rows.append(
            ("CALIBRATION", f"{len(leaks):,} of these images, or copies of them, are evaluated too: {_some(leaks)}")
        )
    if sheet is not None:
        rows.append(("contact sheet", quoted(sheet)))
    width = max(len(name) for name, _ in rows)
    verdict = "No problems found." if checked.sound else "Problems found: see the lines in capitals."
    return "\n".join([quoted(checked.place), *(f"  {name:<{width}}  {text}" for name, text in rows), verdict])


def _is_imagenet(checked: DataCheck, classes: int | None) -> bool:
    """Return whether labels are taken for ImageNet's: nothing says that there is another number of classes."""
    return bool(checked.class_counts) and classes in (None, _LARGEST_IMAGENET_LABEL + 1)


def _classes(checked: DataCheck) -> str:
    if not checked.class_counts:
        return "no labels"
    counts = [count for _, count in checked.class_counts]
    least, most = min(counts), max(counts)
    labels = f"labels {checked.class_counts[0][0]} to {checked.class_counts[-1][0]}"
    each = f"{least:,} each" if least == most else f"{least:,} to {most:,} each"
    return f"{len(counts):,}, {labels}, {each}"


def _counts(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts) or "none"


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(sentence, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")
