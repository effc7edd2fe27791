"""Small pictures on disk."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
