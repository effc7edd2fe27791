from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.data.containers.registry import open_images
from quantize.data.labels.classes import class_names, wordnet_ids
from quantize.errors import DataError
from tests.data.layouts import class_folders

Picture = Callable[..., bytes]


def test_class_folders_named_by_wordnet_id_map_to_imagenets_labels(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["n15075141", "n01440764", "n01484850"])
    images = open_images(root, None, classes=1000)
    assert [(record.id, record.label) for record in images.records] == [
        ("n01440764/picture1.jpg", 0),
        ("n01484850/picture2.jpg", 2),
        ("n15075141/picture0.jpg", 999),
    ]


def test_a_wordnet_id_outside_imagenet_is_refused(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["n01440764", "n00000001"])
    with pytest.raises(DataError, match="1 class folders are none of") as caught:
        open_images(root, None, classes=1000)
    assert caught.value.found == "n00000001"


def test_other_class_folders_count_by_rank_when_there_are_as_many_as_classes(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["dog", "cat", "emu"])
    images = open_images(root, None, classes=3)
    assert {record.id.split("/")[0]: record.label for record in images.records} == {"cat": 0, "dog": 1, "emu": 2}
    assert images.notes == ("labels are the ranks of the 3 class folders, sorted by name",)
    with pytest.raises(DataError, match="3 class folders for a model of 1,000 classes"):
        open_images(root, None, classes=1000)


def test_class_folders_that_are_numbers_are_sorted_as_numbers(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, [str(number) for number in range(12)])
    images = open_images(root, None, classes=12)
    assert all(record.label == int(record.id.split("/")[0]) for record in images.records)


def test_imagenets_classes_are_in_label_order() -> None:
    assert len(set(wordnet_ids())) == len(class_names()) == 1000
    assert (wordnet_ids()[0], class_names()[0]) == ("n01440764", "tench")
    assert (wordnet_ids()[999], class_names()[999]) == ("n15075141", "toilet tissue")
