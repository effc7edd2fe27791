from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import choose_preprocessing
from quantize.errors import DataError


def opened(folder: Path, text: str, *, classes: int | None = 6, several: bool | None = True) -> ImageSet:
    for name in ("a.png", "b 7.png", "c.png"):
        Image.new("RGB", (8, 8), "red").save(folder / name)
    (folder / "labels.txt").write_text(text)
    return open_images(folder, folder / "labels.txt", classes=classes, several=several)


def test_all_integers_at_the_end_of_a_line_are_labels_and_a_name_alone_has_none(tmp_path: Path) -> None:
    images = opened(tmp_path, "a.png 3 1 1\nb 7.png 5\nc.png\n")

    assert [(record.id, record.label) for record in images.records] == [
        ("a.png", (3, 1)),
        ("b 7.png", (5,)),
        ("c.png", ()),
    ]
    assert images.label_count == 6


def test_crops_have_a_one_for_each_label(tmp_path: Path) -> None:
    images = opened(tmp_path, "a.png 3 1\nb 7.png 5\nc.png\n")
    crops = crop_images(
        images, choose_preprocessing({"preset": "imagenet", "resize": 8, "crop": 8}), tmp_path / "crops"
    )

    assert crops.labels is not None
    assert crops.labels.tolist() == [[0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]
    assert crops.subset([2, 0]).labels.tolist() == crops.labels[[2, 0]].tolist()  # type: ignore[union-attr]
    assert (
        len(
            {
                crops.fingerprint,
                crop_images(opened(tmp_path, "a.png 3 2\nb 7.png 5\nc.png\n"), *_same(tmp_path)).fingerprint,
            }
        )
        == 2
    )


def _same(folder: Path) -> tuple[object, Path]:
    return choose_preprocessing({"preset": "imagenet", "resize": 8, "crop": 8}), folder / "crops"


@pytest.mark.parametrize(
    ("text", "several"), [("a.png 3 1\nb 7.png 5\n", True), ("a.png 3\nb 7.png 5\n", False)], ids=["sets", "classes"]
)
def test_where_the_scores_do_not_say_the_file_shows_it(tmp_path: Path, text: str, several: bool) -> None:
    images = opened(tmp_path, text, several=None)

    assert (images.label_count is not None) == several
    assert images.records[0].label == ((3, 1) if several else 3)


def test_a_class_folder_is_one_label_of_several(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / f"{name}.png")
    images = open_images(tmp_path, None, classes=2, several=True)
    crops = crop_images(images, *_same(tmp_path / "work"))

    assert images.label_count == 2
    np.testing.assert_array_equal(crops.labels, [[1, 0], [0, 1]])


def test_labels_out_of_range_are_named_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels of 'a.png' that are not in 0 to 5: 6, -1") as error:
        opened(tmp_path, "b 7.png 1\na.png 3 6 -1\n")
    assert "labels.txt:2" in str(error.value)
