from __future__ import annotations

from pathlib import Path

import pytest

from quantize.data.split import read_calibration_list
from quantize.errors import DataError

IDS = ["n01440764/a.jpg", "n01440764/two words.jpg", "n01484850/b.jpg", "x/c.jpg", "y/c.jpg"]


def listed(tmp_path: Path, text: str) -> tuple[str, ...]:
    path = tmp_path / "calibration.txt"
    path.write_text(text)
    return read_calibration_list(path, IDS)


def test_names_are_found_with_or_without_folder_and_label(tmp_path: Path) -> None:
    text = "b.jpg\n\n n01440764/a.jpg 0\r\ntwo words.jpg\nval/x/c.jpg 3\n".replace("val/x", "x")
    assert listed(tmp_path, text) == ("n01484850/b.jpg", "n01440764/a.jpg", "n01440764/two words.jpg", "x/c.jpg")


def test_missing_ambiguous_and_repeated_names_are_listed_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 problems") as caught:
        listed(tmp_path, "a.jpg\nnone.jpg\nc.jpg\na.jpg 0\n")
    found = str(caught.value.found)
    assert "calibration.txt:2: no image 'none.jpg'" in found
    assert "calibration.txt:3: no image 'c.jpg'" in found
    assert "calibration.txt:4: 'a.jpg 0' is named again, after line 1" in found


def test_an_image_that_was_skipped_as_unreadable_may_be_listed(tmp_path: Path) -> None:
    path = tmp_path / "calibration.txt"
    path.write_text("a.jpg\nspoilt.jpg\n")
    assert read_calibration_list(path, IDS, skipped=["n01440764/spoilt.jpg"]) == ("n01440764/a.jpg",)


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="calibration list is empty"):
        listed(tmp_path, "\n")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="calibration list cannot be read"):
        read_calibration_list(tmp_path / "none.txt", IDS)
