"""WebDataset's way to lay out samples in tar archives: files of one sample share their name up to the first dot."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

from quantize.data.containers.listing import is_image_name
from quantize.data.containers.source import ImageSource, Locator
from quantize.data.problems import Problems


def is_webdataset(names: Iterable[str]) -> bool:
    """Return whether there are ``.cls`` members, which hold a label each."""
    return any(name.endswith(".cls") for name in names)


def webdataset_labels(
    locators: Mapping[str, Locator], source: ImageSource, place: str, classes: int | None
) -> dict[str, int]:
    """Return the label of each image, from the ``.cls`` member of its sample.

    Args:
        locators: All members of the archives.
        source: What reads them.
        place: The archives, for messages.
        classes: The model's number of classes, or None where it is not known.

    Raises:
        DataError: A sample has no label, two images, or a label that is no integer in range: the first ten and the
            count.
    """
    classes_of = {_sample(name): name for name in locators if name.endswith(".cls")}
    problems = Problems()
    labels: dict[str, int] = {}
    seen: dict[str, str] = {}
    for order, name in enumerate(name for name in locators if is_image_name(name)):
        sample = _sample(name)
        where = f"{place}: {name}"
        if sample in seen:
            problems.add(order, where, f"the sample has another image, {seen[sample]}")
            continue
        seen[sample] = name
        if sample not in classes_of:
            problems.add(order, where, "the sample has no .cls member")
            continue
        text = source.read(locators[classes_of[sample]]).strip()
        if not (text.isdigit() and len(text) < 10):
            problems.add(order, where, f"the label {text[:20]!r} is not an integer from 0")
        elif classes is not None and int(text) >= classes:
            problems.add(order, where, f"the label {int(text)} is not in 0 to {classes - 1}")
        else:
            labels[name] = int(text)
    problems.raise_any(place, expected="one image and one .cls member with its label in each sample")
    return labels


def _sample(name: str) -> str:
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.split(".", 1)[0])
