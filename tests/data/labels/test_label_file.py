from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.data.containers.registry import open_images
from quantize.data.labels import label_file
from quantize.data.labels.label_file import read_lines
from quantize.errors import DataError
from tests.data.layouts import labels_of

Picture = Callable[..., bytes]


def test_names_may_hold_spaces_and_any_white_space_parts_the_label(pictures: Path) -> None:
    text = "a.jpg\t5\r\n\n   \nb.jpg    7 \ntwo words.jpg 999\nc  d.jpg\t \t0"
    assert labels_of(pictures, text) == {"a.jpg": 5, "b.jpg": 7, "c  d.jpg": 0, "two words.jpg": 999}


def test_a_byte_order_mark_and_old_line_ends_do_no_harm(pictures: Path) -> None:
    assert labels_of(pictures, "a.jpg 5\rb.jpg 7\r", encoding="utf-8-sig") == {"a.jpg": 5, "b.jpg": 7}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a.jpg", "no label after 'a.jpg'"),
        ("a.jpg tench", "the label 'tench' of 'a.jpg' is not an integer"),
        ("a.jpg 3.0", "the label '3.0' of 'a.jpg' is not an integer"),
        ("a.jpg ３", "the label '３' of 'a.jpg' is not an integer"),
        ("a.jpg 10", "the label 10 of 'a.jpg' is not in 0 to 9"),
        ("a.jpg -1", "the label -1 of 'a.jpg' is not in 0 to 9"),
        ("b.jpg 3", "'b.jpg' is named again, after line 1"),
        ("./b.jpg 3", "'b.jpg' is named again, after line 1"),
        ("gone.jpg 3", "no image 'gone.jpg'"),
        ("A.JPEG 3", "no image 'A.JPEG' (there is 'a.jpg')"),
    ],
)
def test_a_wrong_line_is_named_with_its_number(pictures: Path, line: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        labels_of(pictures, f"b.jpg 1\n\n{line}\n", classes=10)
    assert caught.value.where == f"{pictures.parent / 'labels.txt'}:3"
    assert caught.value.problem == problem


@pytest.mark.parametrize("line", ["{} 3", "{}", "a.jpg {}", "a.jpg 3{}"])
def test_a_line_of_very_many_characters_is_not_quoted_whole(pictures: Path, line: str) -> None:
    for long in ("x" * 200_000, "\x1b" * 200_000):
        with pytest.raises(DataError) as caught:
            labels_of(pictures, f"b.jpg 1\n{line.format(long)}\n", classes=10)
        assert str(caught.value.where).endswith(":2")
        assert len(str(caught.value)) < 2_000


def test_without_a_model_any_label_from_0_is_taken(pictures: Path) -> None:
    assert labels_of(pictures, "a.jpg 123456", classes=None) == {"a.jpg": 123456}
    with pytest.raises(DataError, match="not in 0 to 2147483647"):
        labels_of(pictures, "a.jpg 99999999999", classes=None)


@pytest.mark.parametrize(
    ("content", "problem"), [(b"\n \n", "the label file is empty"), (b"a.jpg 1\nb.jpg \xff\xd8 2", "not UTF-8")]
)
def test_a_label_file_without_text_is_refused(pictures: Path, content: bytes, problem: str) -> None:
    label_file = pictures / "labels"
    label_file.write_bytes(content)
    with pytest.raises(DataError, match=problem) as caught:
        open_images(pictures, label_file, classes=None)
    assert str(label_file) in str(caught.value.where)


def test_a_line_that_no_image_has_is_cut_in_the_message(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("a.png 1\n" + "\x1b" * 2_000_000 + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="2,000,000 characters") as refused:
        read_lines(path, "label file")
    assert refused.value.where == f"{path}:2"
    assert len(str(refused.value)) < 1000


def test_more_lines_than_any_data_set_has_images_are_refused_before_they_are_parted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_file, "_MOST_LINES", 100)
    path = tmp_path / "labels.txt"
    path.write_text("a 1\n" * 100)
    assert len(label_file.read_lines(path, "label file")) == 101
    path.write_text("a 1\r" * 101)
    with pytest.raises(DataError, match="the label file has too many lines") as caught:
        label_file.read_lines(path, "label file")
    assert caught.value.found == "101"
