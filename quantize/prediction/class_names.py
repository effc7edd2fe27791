"""The names of a model's classes."""

from __future__ import annotations

import re
from pathlib import Path

from quantize.data.labels import classes as imagenet
from quantize.data.labels.label_file import read_lines
from quantize.errors import DataError

_WORDNET_ID = re.compile(r"^n\d{8}\s+(?=\S)")


def class_names(classes: int, file: Path | None = None) -> tuple[str, ...] | None:
    """Return the name of each class, or None if they are not known.

    Args:
        classes: The model's number of classes; 1,000 are taken for ImageNet's, 1,001 for those after a background.
        file: A file with a name a line, in the order of the classes; a leading WordNet id is left out.

    Raises:
        DataError: The file cannot be read, or has another number of lines.
    """
    if file is not None:
        return _from_file(file, classes)
    if classes == len(imagenet.class_names()):
        return imagenet.class_names()
    if classes == len(imagenet.class_names()) + 1:
        return ("background", *imagenet.class_names())
    return None


def _from_file(file: Path, classes: int) -> tuple[str, ...]:
    lines = [line.strip() for line in read_lines(file, "list of class names")]
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) != classes:
        raise DataError(
            "not one name for each class",
            where=str(file),
            found=f"{len(lines):,} lines",
            expected=f"{classes:,}, one for each class of the model",
        )
    return tuple(_WORDNET_ID.sub("", line) for line in lines)
