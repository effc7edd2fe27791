from __future__ import annotations

import pytest

from quantize.data.containers.registry import open_images
from quantize.errors import DataError
from tests.data.layouts import Layouts


def test_the_devkit_may_be_of_more_images_than_there_are(layouts: Layouts) -> None:
    devkit = layouts.devkit()
    for name in list(layouts.images)[::2]:
        del layouts.images[name]
    images = open_images(layouts.val_tar(), devkit, classes=1000)
    assert {record.id: record.label for record in images.records} == {
        name: label for name, (_, label) in layouts.images.items()
    }


def test_a_devkit_of_other_images_is_refused(layouts: Layouts) -> None:
    devkit = layouts.devkit()
    layouts.images = {f"photo{n}.jpg": image for n, image in enumerate(list(layouts.images.values())[:5])}
    with pytest.raises(DataError, match="does not match these images") as caught:
        open_images(layouts.val_tar(), devkit, classes=1000)
    assert caught.value.found == "23 lines for 5 images"


def test_an_id_that_is_no_class_is_named_with_its_line(layouts: Layouts) -> None:
    devkit = layouts.devkit()
    truth = devkit / "data" / "ILSVRC2012_validation_ground_truth.txt"
    lines = truth.read_text().split()
    truth.write_text("\n".join([*lines[:4], "1001", *lines[5:]]))
    with pytest.raises(DataError, match="'1001' is no ILSVRC2012 id") as caught:
        open_images(layouts.val_tar(), devkit, classes=1000)
    assert caught.value.where == f"{truth}:5"


def test_ground_truth_without_meta_mat_is_explained(layouts: Layouts) -> None:
    devkit = layouts.devkit()
    (devkit / "data" / "meta.mat").unlink()
    with pytest.raises(DataError, match=r"meta\.mat is missing"):
        open_images(layouts.val_tar(), devkit, classes=1000)


@pytest.mark.parametrize("content", [b"", b"junk" * 100])
def test_a_damaged_meta_mat_is_called_so(layouts: Layouts, content: bytes) -> None:
    devkit = layouts.devkit()
    (devkit / "data" / "meta.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"meta\.mat cannot be read"):
        open_images(layouts.val_tar(), devkit, classes=1000)


def test_a_folder_or_archive_that_is_not_a_devkit_is_called_so(layouts: Layouts) -> None:
    with pytest.raises(DataError, match="this folder is no devkit"):
        open_images(layouts.val_tar(), layouts.root, classes=1000)
    with pytest.raises(DataError, match="this archive is no devkit"):
        open_images(layouts.val_tar(), layouts.class_tar(), classes=1000)
