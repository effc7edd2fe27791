from __future__ import annotations

import gzip
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import PRESETS
from quantize.errors import DataError
from tests.data.layouts import Layouts

SMALL = PRESETS["caffe"].for_input_size(8, 8)


OPENED: dict[str, Callable[[Layouts], tuple[Path, Path | None]]] = {
    "flat folder with label file": lambda it: (it.flat(), it.label_file()),
    "flat folder with devkit": lambda it: (it.flat(), it.devkit()),
    "class folders": lambda it: (it.class_folders(), None),
    "class folders with label file": lambda it: (it.class_folders(), it.label_file()),
    "class folders with devkit": lambda it: (it.class_folders(), it.devkit()),
    "val tar with label file": lambda it: (it.val_tar(), it.label_file()),
    "val tar with devkit": lambda it: (it.val_tar(), it.devkit()),
    "val tar with devkit's data folder": lambda it: (it.val_tar(folder="val/"), it.devkit() / "data"),
    "val tar with devkit's archive": lambda it: (it.val_tar(), (it.devkit(), it.devkit_archive())[1]),
    "val tar with ground truth file": lambda it: (
        it.val_tar(),
        it.devkit() / "data" / "ILSVRC2012_validation_ground_truth.txt",
    ),
    "tar of class folders": lambda it: (it.class_tar(), None),
    "ZIP with label file": lambda it: (it.zip(), it.label_file()),
    "ZIP with devkit": lambda it: (it.zip(method=zipfile.ZIP_STORED), it.devkit()),
    "ZIP that holds its label file": lambda it: (it.zip(labelled=True), None),
    "ZIP of class folders": lambda it: (it.class_zip(), None),
    "WebDataset": lambda it: (it.webdataset(), None),
    "WebDataset by pattern": lambda it: (it.webdataset() / "imagenet-val-*.tar", None),
    "Parquet": lambda it: (it.parquet(), None),
    "Parquet with label file": lambda it: (it.parquet(), it.label_file()),
    "Parquet, one file": lambda it: (it.parquet(shards=1) / "data" / "validation-00000-of-00001.parquet", None),
    "Arrow file format": lambda it: (it.arrow("file"), None),
    "Arrow stream format": lambda it: (it.arrow("stream"), None),
}


def opened(layouts: Layouts, layout: str) -> ImageSet:
    data, labels = OPENED[layout](layouts)
    return open_images(data, labels, classes=1000)


# Worker processes are tried with each kind of source once.
@pytest.mark.parametrize(
    ("layout", "workers"),
    [
        *((layout, 1) for layout in OPENED),
        ("ZIP of class folders", 2),
        ("WebDataset", 2),
        ("Parquet", 2),
        ("Arrow stream format", 2),
    ],
)
def test_the_same_images_give_the_same_crops_in_every_layout(
    layouts: Layouts, layout: str, workers: int, tmp_path: Path
) -> None:
    images = opened(layouts, layout)
    crops = crop_images(images, SMALL, tmp_path / "cache", workers=workers)
    assert crops.labels is not None
    expected = dict(layouts.images.values())
    labels = {images.read(index): int(crops.labels[index]) for index in range(len(images))}
    assert labels == expected
    flat = crop_images(
        open_images(*OPENED["flat folder with label file"](type(layouts)(new(tmp_path), layouts.images)), classes=1000),
        SMALL,
        tmp_path / "cache",
    )
    assert crops.fingerprint == flat.fingerprint


def new(folder: Path) -> Path:
    (folder / "again").mkdir()
    return folder / "again"


@pytest.mark.parametrize(
    "layout", ["val tar with devkit", "ZIP with devkit", "WebDataset", "Parquet", "Arrow file format"]
)
def test_a_container_is_decoded_once(layouts: Layouts, layout: str, tmp_path: Path) -> None:
    images = opened(layouts, layout)
    crop_images(images, SMALL, tmp_path / "cache")
    stages: list[str] = []
    crop_images(images, SMALL, tmp_path / "cache", progress=lambda stage, done, total: stages.append(stage))
    assert stages == []


@pytest.mark.parametrize("layout", ["val tar with label file", "ZIP with devkit", "Parquet", "Arrow stream format"])
def test_images_can_be_read_in_any_order_and_by_a_pickled_source(layouts: Layouts, layout: str) -> None:
    images = opened(layouts, layout)
    forward = [images.read(index) for index in range(len(images))]
    copy: ImageSet = pickle.loads(pickle.dumps(images))
    backward = [copy.read(index) for index in reversed(range(len(images)))]
    assert backward[::-1] == forward


def test_nothing_is_unpacked(layouts: Layouts, tmp_path: Path) -> None:
    data, labels = OPENED["val tar with label file"](layouts)
    before = sorted(tmp_path.rglob("*"))
    images = open_images(data, labels, classes=1000)
    images.read(0)
    assert sorted(tmp_path.rglob("*")) == before


def test_several_splits_in_one_folder_are_told_apart_by_a_pattern(layouts: Layouts) -> None:
    folder = layouts.parquet() / "data"
    shutil.copy(folder / "validation-00000-of-00002.parquet", folder / "test-00000-of-00001.parquet")
    with pytest.raises(DataError, match="several data sets") as caught:
        open_images(folder.parent, None, classes=1000)
    assert caught.value.found == "test, validation"
    assert len(open_images(folder / "validation*.parquet", None, classes=1000)) == 23


def test_an_archive_next_to_what_it_was_unpacked_to_is_ambiguous(layouts: Layouts) -> None:
    folder = layouts.class_folders()
    layouts.zip().rename(folder / "val.zip")
    with pytest.raises(DataError, match="mixed with folders of images") as caught:
        open_images(folder, None, classes=1000)
    assert "name the one" in str(caught.value.advice)
    assert len(open_images(folder / "val.zip", None, classes=1000)) == len(layouts.images)


def test_a_compressed_archive_says_to_uncompress_it(layouts: Layouts, tmp_path: Path) -> None:
    path = tmp_path / "val.tar.gz"
    path.write_bytes(gzip.compress(layouts.val_tar().read_bytes()))
    with pytest.raises(DataError, match="not a supported container of images") as caught:
        open_images(path, None, classes=1000)
    assert "uncompress" in str(caught.value.advice)


def test_a_pattern_that_matches_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found") as caught:
        open_images(tmp_path / "val-*.parquet", None, classes=1000)
    assert caught.value.where == str(tmp_path / "val-*.parquet")


@pytest.mark.real
def test_the_real_images_give_the_same_crops_from_every_container(real_layouts: Layouts, tmp_path: Path) -> None:
    sized = PRESETS["caffe"].for_input_size(64, 64)
    real_layouts.images = dict(list(real_layouts.images.items())[::4])
    devkit = real_layouts.devkit()
    cropped = [
        crop_images(open_images(data, labels, classes=1000), sized, tmp_path / "cache")
        for data, labels in (
            (real_layouts.flat(), real_layouts.label_file()),
            (real_layouts.class_folders(), None),
            (real_layouts.val_tar(), devkit),
            (real_layouts.parquet(rows_per_group=100), None),
            (real_layouts.webdataset(), None),
            (real_layouts.arrow("stream"), None),
        )
    ]
    assert [len(crops) for crops in cropped] == [125] * 6
    assert len({crops.fingerprint for crops in cropped}) == 1
    assert all(np.array_equal(np.bincount(crops.labels), np.bincount(cropped[0].labels)) for crops in cropped)  # type: ignore[arg-type]
