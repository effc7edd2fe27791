"""Labels from whatever ``--label_path`` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quantize.data.labels.devkit import find_devkit
from quantize.data.labels.label_file import LabelLine, read_label_file
from quantize.data.problems import Problems


def read_labels(
    label_path: Path, images: Sequence[str], classes: int | None, problems: Problems
) -> tuple[list[LabelLine], Path]:
    """Return a line for each label, and the file that it stands in.

    Args:
        label_path: A label file with lines ``name label``, or ILSVRC2012's devkit.
        images: Names of the images, which the devkit does not name.
        classes: The model's number of classes, or None where it is not known.
        problems: Takes what is wrong with lines.

    Raises:
        DataError: The file cannot be read, or is not of these images.
    """
    devkit = find_devkit(label_path)
    if devkit is None:
        return read_label_file(label_path, classes, problems), label_path
    return devkit.label_lines(images, problems), devkit.place
