from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import quantize
from quantize.errors import ConfigError, DataError
from quantize.public.given import model_file, picture_folder
from quantize.public.images import with_images


@pytest.mark.usefixtures("workplace")
def test_a_model_in_memory_is_the_same_file_however_it_is_given() -> None:
    content = Path("model.onnx").read_bytes()
    proto = onnx.load_model_from_string(content)
    files = {model_file(content), model_file(proto), model_file(onnx.load("model.onnx"))}
    assert len(files) == 1
    assert onnx.load(files.pop()) == proto
    assert model_file("model.onnx") == Path("model.onnx")


@pytest.mark.usefixtures("workplace")
def test_pictures_keep_every_pixel_and_their_order() -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, shape, dtype=np.uint8) for shape in ((4, 5, 3), (7, 3), (2, 2, 1))]
    folder, labels = picture_folder(pictures, [2, 0, 1])
    assert labels is not None
    assert labels.read_text() == "000000.png 2\n000001.png 0\n000002.png 1\n"
    read = [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]
    assert all(np.array_equal(one.squeeze(), other) for one, other in zip(pictures, read, strict=True))
    assert picture_folder(pictures, [2, 0, 1]) == (folder, labels)
    assert picture_folder(pictures)[0] != folder


@pytest.mark.usefixtures("workplace")
def test_several_labels_stand_on_the_line_of_their_picture() -> None:
    _, labels = picture_folder(np.zeros((2, 3, 3, 3), np.uint8), [[3, 17], []])
    assert labels is not None
    assert labels.read_text().splitlines() == ["000000.png 3 17", "000001.png "]


@pytest.mark.parametrize(
    ("pictures", "found"),
    [
        (np.zeros((2, 3, 8, 8), np.float32), "float32 (3, 8, 8)"),
        (np.zeros((2, 3, 8, 8), np.uint8), "uint8 (3, 8, 8)"),
        ([np.zeros(4, np.uint8)], "uint8 (4,)"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_it_is(pictures: object, found: str) -> None:
    with pytest.raises(DataError, match="not a picture") as caught:
        picture_folder(pictures)  # type: ignore[arg-type]
    assert caught.value.found == found


def test_labels_of_another_number_than_the_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="not a label for each"):
        picture_folder(np.zeros((2, 3, 3, 3), np.uint8), [1])


@pytest.mark.parametrize(("images", "labels"), [(None, [1]), (np.zeros((1, 3, 3, 3), np.uint8), [1])])
def test_images_come_from_one_place(images: object, labels: list[int]) -> None:
    with pytest.raises(ConfigError):
        with_images({"data_path": "folder"}, images, labels)  # type: ignore[arg-type]


@pytest.mark.usefixtures("workplace")
def test_a_model_and_pictures_in_memory_give_what_the_files_give() -> None:
    paths = sorted(Path("images").iterdir())
    pictures = np.stack([np.asarray(Image.open(path)) for path in paths])
    labels = [int(line.split()[1]) for line in Path("labels.txt").read_text().splitlines()]
    given = quantize.evaluate(onnx.load("model.onnx"), images=pictures, labels=labels, preset="imagenet")
    filed = quantize.evaluate("model.onnx", data_path="images", label_path="labels.txt", preset="imagenet")
    assert given.evaluation.top1 == filed.evaluation.top1
    assert given.evaluation.top1 is not None
    assert given.evaluation.top1.expected == 1.0
    report = quantize.predict(Path("model.onnx").read_bytes(), pictures, preset="imagenet")
    assert [prediction.label for prediction in report.predictions] == labels
