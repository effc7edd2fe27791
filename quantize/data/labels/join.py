"""Match labels to the images that they name."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from quantize.data.image_set import ImageSet, Label, Listing, NamedData, is_image_name
from quantize.data.labels.devkit import find_devkit
from quantize.data.labels.label_file import LabelLine, read_label_file
from quantize.data.problems import Problems


def label_images(listing: Listing, data: NamedData) -> ImageSet:
    """Return a container's images with the labels of the file that ``data.label_path`` names.

    Raises:
        DataError: The file cannot be read or is not of these images, or lines are wrong: the first ten and the count.
    """
    assert data.label_path is not None
    problems = Problems()
    devkit = find_devkit(data.label_path)
    if devkit is None:
        lines, label_path = (
            read_label_file(data.label_path, data.classes, problems, several=data.several),
            data.label_path,
        )
    else:
        lines, label_path = devkit.label_lines(list(listing.locators), problems), devkit.place
    return join_labels(listing, lines, label_path, data.classes, problems)


def join_labels(
    listing: Listing, lines: Sequence[LabelLine], label_path: Path, classes: int | None, problems: Problems
) -> ImageSet:
    """Return the images that a label file names, with their labels; the label file decides which images count.

    A name is looked up as it stands, and where no image has it, by its last part if one image alone has that
    (ILSVRC2012's label file next to class folders, or a list with another folder before each name).

    Args:
        listing: The images of the container.
        lines: The label file's lines.
        label_path: The label file, for places and messages.
        classes: The model's number of classes, or None if it is not known.
        problems: What was wrong with the lines already; raised here, with what the joining finds.

    Raises:
        DataError: An image is missing or named twice, or ``problems`` held something.
    """
    by_last_part: dict[str, list[str]] = defaultdict(list)
    for name in listing.locators:
        by_last_part[posixpath.basename(name)].append(name)
    alike: dict[str, str] = {}
    if any(posixpath.basename(line.name) not in by_last_part for line in lines):
        for name in listing.locators:
            alike.setdefault(_stem(name), name)
    labels: dict[str, Label] = {}
    first_lines: dict[str, int] = {}
    moved = 0
    for line in lines:
        where = f"{label_path}:{line.line}"
        name = line.name
        if name not in listing.locators:
            candidates = by_last_part.get(posixpath.basename(name), [])
            if len(candidates) != 1:
                problems.add(line.line, where, _missing(line.name, candidates, alike))
                continue
            name = candidates[0]
            moved += 1
        if name in labels:
            problems.add(line.line, where, f"{line.name!r} is named again, after line {first_lines[name]}")
            continue
        labels[name] = line.label
        first_lines[name] = line.line
    problems.raise_any(
        f"{label_path} with {listing.place}",
        expected=f"lines `name label`, one for each image, labels {_range(classes)}",
        advice=_advice(lines, classes),
    )
    notes = []
    if moved:
        notes.append(f"names in {label_path} found by their last part, in another folder: {moved:,}")
    left = sum(1 for name in listing.locators if name not in labels and is_image_name(name))
    if left:
        notes.append(f"images in {listing.place} that {label_path} does not name, left out: {left:,}")
    places = {name: f"{label_path}:{line}" for name, line in first_lines.items()}
    return listing.image_set(labels, *notes, places=places)


def _missing(name: str, candidates: Sequence[str], alike: Mapping[str, str]) -> str:
    """Return that no image has a name, and which one has it but for its folder, its suffix or its case."""
    if candidates:
        return f"no image {name!r}; {len(candidates)} folders have one of that name"
    other = alike.get(_stem(name))
    return f"no image {name!r}" + (f" (there is {other!r})" if other else "")


def _stem(name: str) -> str:
    return PurePosixPath(name).stem.casefold()


def _range(classes: int | None) -> str:
    return "from 0" if classes is None else f"0 to {classes - 1}"


def _advice(lines: Sequence[LabelLine], classes: int | None) -> str | None:
    labels = {label for line in lines for label in (line.label if isinstance(line.label, tuple) else (line.label,))}
    if classes is not None and labels and min(labels) == 1 and max(labels) == classes:
        return (
            "the labels count from 1; subtract 1 (the devkit's own order needs its meta.mat: name the devkit's folder)"
        )
    return None
