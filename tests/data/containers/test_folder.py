from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.data.check import check_data
from quantize.data.containers.registry import open_images
from quantize.errors import DataError
from tests.data.layouts import class_folders

Flat = Callable[[int], tuple[Path, Path]]


Picture = Callable[..., bytes]


def test_a_label_file_or_folder_that_is_not_there_is_named(pictures: Path) -> None:
    for data, labels in ((pictures, pictures / "none.txt"), (pictures / "none", None), (pictures / "a.jpg", None)):
        with pytest.raises(DataError) as caught:
            open_images(data, labels, classes=None)
        assert caught.value.where == str(labels or data)


def test_a_flat_folder_without_label_file_has_no_labels(pictures: Path) -> None:
    (pictures / "readme.md").write_text("hello")
    (pictures / ".hidden.jpg").touch()
    images = open_images(pictures, None, classes=1000)
    assert not images.labelled
    assert [record.label for record in images.records] == [None] * 4
    assert images.notes == ("skipped, not named as images: 1 (readme.md)",)


def test_a_class_folder_without_images_keeps_its_rank_and_is_noted(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["ant", "cat"])
    (root / "bee").mkdir()
    images = open_images(root, None, classes=3)
    assert [record.label for record in images.records] == [0, 2]
    assert "class folders without images: 1" in images.notes


def test_images_next_to_class_folders_are_ambiguous(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["x", "y"])
    (root / "z.jpg").write_bytes(picture(3))
    with pytest.raises(DataError, match="images and folders of images are mixed"):
        open_images(root, None, classes=2)


def test_a_folder_above_the_images_is_recognised(flat: Flat) -> None:
    folder, _ = flat(3)
    with pytest.raises(DataError, match="all images are in one folder") as caught:
        open_images(folder.parent, None, classes=1000)
    assert caught.value.advice == f"name {folder} as the data"


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images here"):
        open_images(tmp_path, None, classes=None)


@pytest.mark.parametrize("labels", [None, "a.jpg 1\nloop.jpg 0\n"])
def test_a_link_to_itself_is_one_image_that_cannot_be_read(
    tmp_path: Path, picture: Picture, labels: str | None
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(picture(3))
    (tmp_path / "images" / "loop.jpg").symlink_to("loop.jpg")
    label_file = None
    if labels is not None:
        label_file = tmp_path / "labels.txt"
        label_file.write_text(labels)
    check = check_data(open_images(tmp_path / "images", label_file, classes=2))
    assert (check.images, check.shortest_side is not None) == (2, True)
    assert [(skipped.id, "symbolic links" in skipped.reason) for skipped in check.unreadable] == [("loop.jpg", True)]
