"""Small pictures on disk, and the layouts of ImageNet."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.layouts import Layouts

Picture = Callable[..., bytes]


@pytest.fixture(scope="session")
def picture() -> Picture:
    """Return a maker of encoded pictures, a different one for each seed."""

    def encode(seed: int, *, size: tuple[int, int] = (40, 30), kind: str = "JPEG") -> bytes:
        width, height = size
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(coarse).resize((width, height)).save(stream, kind)
        return stream.getvalue()

    return encode


@pytest.fixture
def flat(tmp_path: Path, picture: Picture) -> Callable[[int], tuple[Path, Path]]:
    """Return a maker of a flat folder of pictures and its label file: picture i has label i."""

    def make(count: int) -> tuple[Path, Path]:
        folder = tmp_path / "val"
        folder.mkdir()
        lines = []
        for index in range(count):
            (folder / f"picture {index:03d}.JPEG").write_bytes(picture(index))
            lines.append(f"picture {index:03d}.JPEG {index}\n")
        labels = tmp_path / "val.txt"
        labels.write_text("".join(lines))
        return folder, labels

    return make


@pytest.fixture
def layouts(tmp_path: Path, picture: Picture) -> Layouts:
    """Return 23 small labelled pictures with ILSVRC2012's names, in any layout."""
    images = {f"ILSVRC2012_val_{n:08d}.JPEG": (picture(n), (n * 389) % 1000) for n in range(1, 24)}
    return Layouts(tmp_path, images)


@pytest.fixture
def real_layouts(tmp_path: Path, shared: Path) -> Layouts:
    """Return the 500 real photographs, in any layout."""
    lines = (line.rsplit(None, 1) for line in (shared / "imagenet" / "val.txt").read_text().splitlines())
    folder = shared / "imagenet" / "val"
    return Layouts(tmp_path, {name: ((folder / name).read_bytes(), int(label)) for name, label in lines})


@pytest.fixture
def pictures(tmp_path: Path, picture: Picture) -> Path:
    """Return a folder of four pictures, two of whose names hold spaces."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "two words.jpg", "c  d.jpg"):
        (folder / name).write_bytes(picture(1))
    return folder
