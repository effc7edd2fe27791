"""The label file of ILSVRC2012 validation: a line ``name label`` for each image."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from quantize.data.labels.text_lines import read_lines
from quantize.data.problems import Problems
from quantize.errors import DataError

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class LabelLine:
    """One image's label, and the line that gives it."""

    name: str
    label: int
    line: int


def read_label_file(path: Path, classes: int | None, problems: Problems) -> list[LabelLine]:
    """Return the lines of a label file; the last word of a line is the label, all before it the name.

    Names may hold spaces; words are parted by any white space; blank lines are passed over.

    Args:
        path: The file, UTF-8.
        classes: The model's number of classes: labels are 0 to ``classes`` - 1. None: any label from 0.
        problems: Takes a line without a label, a label that is no integer or out of range.

    Raises:
        DataError: The file cannot be read, is no text, or has no lines.
    """
    lines: list[LabelLine] = []
    for number, text in enumerate(read_lines(path, "label file"), start=1):
        words = text.rsplit(None, 1)
        if not words:
            continue
        where = f"{path}:{number}"
        if len(words) == 1:
            problems.add(number, where, f"no label after {words[0]!r}")
            continue
        name, label = words[0].strip(), words[1]
        if not _INTEGER.fullmatch(label):
            problems.add(number, where, f"the label {label!r} of {name!r} is not an integer")
            continue
        value = int(label)
        last = _LARGEST if classes is None else classes - 1
        if not 0 <= value <= last:
            problems.add(number, where, f"the label {value} of {name!r} is not in 0 to {last}")
        lines.append(LabelLine(posixpath.normpath(name), value, number))
    if not lines and not problems:
        raise DataError("the label file is empty", where=str(path), expected="a line `name label` for each image")
    return lines
