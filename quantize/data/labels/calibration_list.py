"""A fixed list of calibration images, as MLPerf publishes them: one name a line."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from quantize.data.labels.text_lines import read_lines
from quantize.data.problems import Problems
from quantize.errors import DataError


def read_calibration_list(path: Path, ids: Sequence[str], *, skipped: Collection[str] = ()) -> tuple[str, ...]:
    """Return the images that a list names, in its order.

    A line is an image's name, with or without a label behind it. A name is looked up as it stands, then by its last
    part where one image alone has that. Blank lines are passed over.

    Args:
        path: The list, UTF-8 text.
        ids: Names of all images.
        skipped: Names of images that were left out as unreadable: the list may name them, to no effect.

    Raises:
        DataError: The list cannot be read or is empty, or an image is missing or named twice: the first ten and the
            count.
    """
    known = {*ids, *skipped}
    by_last_part: dict[str, list[str]] = defaultdict(list)
    for image_id in known:
        by_last_part[posixpath.basename(image_id)].append(image_id)

    def found(text: str) -> str | None:
        for spelling in (text, text.rsplit(None, 1)[0]):
            if spelling in known:
                return spelling
            alike = by_last_part.get(posixpath.basename(spelling), [])
            if len(alike) == 1:
                return alike[0]
        return None

    problems = Problems()
    chosen: dict[str, int] = {}
    for number, line in enumerate(read_lines(path, "calibration list"), start=1):
        text = line.strip()
        if not text:
            continue
        name = found(text)
        if name is None:
            problems.add(number, f"{path}:{number}", f"no image {text!r} in the data")
        elif name in chosen:
            problems.add(number, f"{path}:{number}", f"{text!r} is named again, after line {chosen[name]}")
        else:
            chosen[name] = number
    problems.raise_any(str(path), expected="one name of an image of the data a line, each once")
    chosen = {name: number for name, number in chosen.items() if name not in set(skipped)}
    if not chosen:
        raise DataError("the calibration list is empty", where=str(path), expected="the name of an image a line")
    return tuple(chosen)
