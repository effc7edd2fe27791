"""Text files written by hand on any system, and the label file: a line ``name label`` for each image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantize.bounded_reading import LARGEST_TEXT, read_bounded
from quantize.data.image_set import Label, is_image_name
from quantize.data.problems import Problems
from quantize.errors import DataError
from quantize.quoting import quoted
from quantize.similar_names import did_you_mean


def read_lines(path: Path, what: str) -> list[str]:
    r"""Return the lines of a UTF-8 text file; ``\n``, ``\r\n`` and ``\r`` end a line, a byte order mark is dropped.

    Args:
        path: The file.
        what: What the file is, for the error.

    Raises:
        DataError: The file cannot be read, or is not UTF-8 text.
    """
    try:
        content = read_bounded(path, LARGEST_TEXT)
    except OSError as error:
        raise DataError(
            f"the {what} cannot be read: {error.strerror or error}", where=str(path), advice=did_you_mean(path)
        ) from error
    return decoded_lines(content, what, path)


def decoded_lines(content: bytes, what: str, path: Path) -> list[str]:
    """Return the lines of text that was read from ``path`` already, see ``read_lines``."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the {what} is not UTF-8 text",
            where=f"{path}:{content.count(10, 0, error.start) + 1}",
            found=f"byte 0x{content[error.start]:02x} at offset {error.start:,}",
            expected=f"a text file; is this the {what}?",
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    count = text.count("\n")
    if count > _MOST_LINES:
        raise DataError(
            f"the {what} has too many lines",
            where=str(path),
            found=f"{count:,}",
            expected=f"at most {_MOST_LINES:,}; is this the {what}?",
        )
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if len(line) > _LONGEST_LINE:
            raise DataError(
                f"a line of the {what} is too long",
                where=f"{path}:{number}",
                found=f"{len(line):,} characters: {quoted(line)}",
                expected=f"at most {_LONGEST_LINE:,}; is this the {what}?",
            )
    return lines


_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_LARGEST = 2**31 - 1
_MOST_LINES = 2_000_000  # the training set of ImageNet has 1.3 million images
_LONGEST_LINE = 100_000
"""Characters of a line: the path of an image, and the numbers of 10,000 labels."""


@dataclass(frozen=True, slots=True)
class LabelLine:
    """One image's class or labels, and the line that gives it."""

    name: str
    label: Label
    line: int


def read_label_file(
    path: Path,
    classes: int | None,
    problems: Problems,
    *,
    content: bytes | None = None,
    several: bool | None = False,
) -> list[LabelLine]:
    """Return the lines of a label file; the last word of a line is the label, the rest is the name.

    Names may hold spaces; words are parted by any white space; blank lines are passed over. Where an image may have
    several labels, all integers at the end are its labels: none of them behind a name alone.

    Args:
        path: The file, UTF-8.
        classes: The model's number of classes: labels are 0 to ``classes`` - 1. None: any label from 0.
        problems: Takes a line without a label, a label that is no integer or out of range.
        content: Its bytes where it lies in an archive; None: they are read.
        several: Whether an image may have several labels; None: it may where a line has several behind the name of an
            image.

    Raises:
        DataError: The file cannot be read, is no text, or has no lines.
    """
    what = "label file"
    texts = read_lines(path, what) if content is None else decoded_lines(content, what, path)
    if several is None:
        several = any(len(labels) > 1 and is_image_name(name) for name, labels in map(_name_and_labels, texts))
    lines = _lines_of_sets(path, texts, classes, problems) if several else _lines(path, texts, classes, problems)
    if not lines and not problems:
        raise DataError("the label file is empty", where=str(path), expected="a line `name label` for each image")
    return lines


def _name_and_labels(text: str) -> tuple[str, tuple[str, ...]]:
    """Return what stands before the integers at the end of a line, and those."""
    name, labels = text.strip(), []
    while len(words := name.rsplit(None, 1)) == 2 and _INTEGER.fullmatch(words[1]):
        name = words[0].strip()
        labels.append(words[1])
    return name, tuple(reversed(labels))


def _lines_of_sets(path: Path, texts: Sequence[str], classes: int | None, problems: Problems) -> list[LabelLine]:
    lines = []
    last = _LARGEST if classes is None else classes - 1
    for number, text in enumerate(texts, start=1):
        name, labels = _name_and_labels(text)
        if not name:
            continue
        values = tuple(dict.fromkeys(int(label) for label in labels))
        wrong = [value for value in values if not 0 <= value <= last]
        if wrong:
            listed = ", ".join(map(str, wrong))
            problems.add(number, f"{path}:{number}", f"labels of {name!r} that are not in 0 to {last}: {listed}")
        lines.append(LabelLine(posixpath.normpath(name), values, number))
    return lines


def _lines(path: Path, texts: Sequence[str], classes: int | None, problems: Problems) -> list[LabelLine]:
    lines: list[LabelLine] = []
    for number, text in enumerate(texts, start=1):
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
    return lines
