from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from quantize.data.containers.registry import open_images

Flat = Callable[[int], tuple[Path, Path]]


Picture = Callable[..., bytes]


def test_the_fingerprint_follows_names_labels_and_contents(flat: Flat, picture: Picture) -> None:
    folder, label_file = flat(3)
    before = open_images(folder, label_file, classes=None).fingerprint
    assert open_images(folder, label_file, classes=None).fingerprint == before
    label_file.write_text(label_file.read_text().replace(" 2\n", " 1\n"))
    relabelled = open_images(folder, label_file, classes=None).fingerprint
    (folder / "picture 000.JPEG").write_bytes(picture(9))
    assert len({before, relabelled, open_images(folder, label_file, classes=None).fingerprint}) == 3
