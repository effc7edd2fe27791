"""Label lists, with images that they name."""

from __future__ import annotations

from pathlib import Path

from fuzzing.target import Target
from quantize.data.containers.folder import FolderSource
from quantize.data.image_set import Listing
from quantize.data.labels.join import join_labels
from quantize.data.labels.label_file import read_label_file
from quantize.data.problems import Problems

_NAMES = ("a.jpg", "b c.png", "é.jpeg", "f/d.jpg")


def _run(content: bytes, scratch: Path) -> None:
    path = scratch / "labels.txt"
    path.write_bytes(content)
    listing = Listing(str(scratch), FolderSource(scratch), {name: (name,) for name in _NAMES})
    for several in (False, None):
        problems = Problems()
        lines = read_label_file(path, 1000, problems, several=several)
        join_labels(listing, lines, path, 1000, problems)


TARGET = Target(
    name="labels",
    what="label lists",
    executions=200_000,
    seeds=lambda: [
        "".join(f"{name} {number}\n" for number, name in enumerate(_NAMES)).encode("utf-8"),
        b"\xef\xbb\xbfa.jpg 1 2 3\r\nb c.png\r\n./f/../f/d.jpg 0999\r\n",
        b"a.jpg -1\nb c.png 99999999999999999999\nx\n\n a.jpg 1\n",
    ],
    run=_run,
)
