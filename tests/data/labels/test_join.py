from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.data.containers.folder import FolderSource
from quantize.data.containers.registry import open_images
from quantize.data.image_set import Listing
from quantize.data.labels import join
from quantize.data.labels.label_file import LabelLine
from quantize.data.problems import Problems
from quantize.errors import DataError
from tests.data.layouts import class_folders, labels_of

Picture = Callable[..., bytes]


def test_images_come_sorted_by_name_whatever_the_order_of_the_lines(pictures: Path) -> None:
    assert list(labels_of(pictures, "b.jpg 1\na.jpg 2\n")) == ["a.jpg", "b.jpg"]


def test_images_without_a_line_are_left_out_and_counted(pictures: Path) -> None:
    label_file = pictures / "val.txt"
    label_file.write_text("a.jpg 5\n")
    images = open_images(pictures, label_file, classes=1000)
    assert len(images) == 1
    assert images.notes == (f"images in {pictures} that {label_file} does not name, left out: 3",)


def test_the_first_ten_problems_of_all_kinds_are_listed_in_order_with_the_count(pictures: Path) -> None:
    lines = ["a.jpg 1", "b.jpg", "a.jpg 2", *(f"gone{number}.jpg 1" for number in range(12)), "b.jpg x"]
    with pytest.raises(DataError) as caught:
        labels_of(pictures, "\n".join(lines), classes=10)
    label_file = pictures.parent / "labels.txt"
    assert caught.value.problem == f"15 problems in {label_file} with {pictures}"
    listed = str(caught.value.found).split("; ")
    assert [line.split(": ")[0] for line in listed[:-1]] == [f"{label_file}:{line}" for line in range(2, 12)]
    assert listed[-1] == "and 5 more"


def test_labels_that_count_from_1_are_recognised(pictures: Path) -> None:
    with pytest.raises(DataError) as caught:
        labels_of(pictures, "a.jpg 1\nb.jpg 10\n", classes=10)
    assert "count from 1" in str(caught.value.advice)


def test_a_label_file_decides_over_class_folders_and_finds_names_by_their_last_part(
    tmp_path: Path, picture: Picture
) -> None:
    root = class_folders(tmp_path / "val", picture, ["n01440764", "n01484850"])
    assert labels_of(root, "picture1.jpg 7\nval/picture0.jpg 8\n") == {
        "n01440764/picture0.jpg": 8,
        "n01484850/picture1.jpg": 7,
    }


def test_a_name_that_two_folders_have_is_ambiguous(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["x", "y"])
    (root / "x" / "picture1.jpg").write_bytes(picture(3))
    with pytest.raises(DataError, match="2 folders have one of that name"):
        labels_of(root, "picture1.jpg 7\n")
    assert labels_of(root, "y/picture1.jpg 7\n") == {"y/picture1.jpg": 7}


def test_a_list_of_other_images_is_told_in_time_that_grows_with_its_lines_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stems: list[str] = []
    plain = join._stem

    def counted(name: str) -> str:
        stems.append(name)
        return plain(name)

    monkeypatch.setattr(join, "_stem", counted)
    images = Listing("images", FolderSource(Path("images")), {f"a{number}.jpg": (number,) for number in range(300)})
    lines = [LabelLine(f"b{number}.jpg", 1, number) for number in range(1, 301)]
    with pytest.raises(DataError, match="300 problems in list with images"):
        join.join_labels(images, lines, Path("list"), None, Problems())
    assert len(stems) == 600


def test_an_image_of_the_same_name_but_for_suffix_and_case_is_named(pictures: Path) -> None:
    with pytest.raises(DataError, match=r"no image 'A\.png' \(there is 'a\.jpg'\)"):
        labels_of(pictures, "A.png 1\nb.jpg 1\n")
