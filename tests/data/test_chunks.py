from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from quantize.data.chunks import map_chunks
from quantize.data.containers.registry import open_images
from quantize.errors import DataError


@pytest.fixture
def images(tmp_path: Path):
    (tmp_path / "images").mkdir()
    for number in range(40):
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / f"{number:02d}.png")
    return open_images(tmp_path / "images", None, classes=None)


def test_every_row_is_in_one_chunk(images):
    chunks = list(map_chunks(list, images, range(40), 1))
    assert sorted(row for chunk in chunks for row, _ in chunk) == list(range(40))
    assert max(map(len, chunks)) == 16


@pytest.mark.parametrize("workers", [None, 2])
def test_rows_are_the_same_whatever_the_number_of_workers(images, workers):
    chunks = map_chunks(list, images, range(3, 40), workers)
    assert sorted(row for chunk in chunks for row, _ in chunk) == list(range(3, 40))


def test_a_worker_that_dies_is_an_error_that_says_how(images, tmp_path, monkeypatch):
    (tmp_path / "dying.py").write_text("import os\ndef die(images):\n    os._exit(7)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match="ended in the middle") as caught:
        list(map_chunks(import_module("dying").die, images, range(40), 2))
    assert "exit code 7" in str(caught.value)
