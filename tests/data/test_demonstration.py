from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantize.data.containers.registry import open_images
from quantize.data.demonstration import View, demonstration_data, photographs, views
from quantize.data.split import read_calibration_list
from quantize.errors import DataError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.network
def test_the_twenty_photographs_are_extracted_with_their_labels(cache: Path) -> None:
    shown = photographs(cache)
    assert len(shown) == 20
    assert (shown[0].path.name, shown[0].label) == ("imagenet_00_243.jpg", 243)
    assert all(photograph.path.read_bytes()[:2] == b"\xff\xd8" for photograph in shown)


@pytest.mark.network
def test_a_spoilt_photograph_is_extracted_again(cache: Path) -> None:
    photograph = photographs(cache)[3]
    whole = photograph.path.read_bytes()
    photograph.path.write_bytes(whole[:100])
    assert photographs(cache)[3].path.read_bytes() == whole


@pytest.mark.network
def test_once_cached_no_network_is_needed(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    photographs(cache)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert len(photographs(cache)) == 20
    with pytest.raises(DataError, match="could not be downloaded"):
        photographs(tmp_path)


@pytest.mark.network
def test_calibration_and_evaluation_see_different_photographs(cache: Path) -> None:
    data = demonstration_data(cache, views_each=3)
    images = open_images(data.data_path, data.label_path, classes=1000)
    ids = [record.id for record in images.records]
    calibration = set(read_calibration_list(data.calibration_list, ids))
    assert (len(ids), len(calibration)) == (data.images, data.calibration_images) == (60, 15)

    def photograph(image_id: str) -> str:
        return image_id.split("_view")[0]

    assert {photograph(name) for name in calibration}.isdisjoint(
        photograph(name) for name in ids if name not in calibration
    )
    assert all(record.label == int(photograph(record.id).split("_")[2]) for record in images.records)


@pytest.mark.network
def test_the_same_views_are_written_each_time(cache: Path, tmp_path: Path) -> None:
    first = demonstration_data(cache, views_each=2)
    before = {path.name: path.read_bytes() for path in first.data_path.iterdir()}
    for path in (cache / "wheels").iterdir():
        (tmp_path / "wheels").mkdir(exist_ok=True)
        (tmp_path / "wheels" / path.name).write_bytes(path.read_bytes())
    second = demonstration_data(tmp_path, views_each=2)
    assert {path.name: path.read_bytes() for path in second.data_path.iterdir()} == before


PHOTOGRAPH = Image.effect_mandelbrot((101, 60), (-2, -1, 1, 1), 50).convert("RGB")


def test_the_first_view_is_the_photograph_and_the_second_its_mirror_image() -> None:
    first, second = (np.asarray(view.of(PHOTOGRAPH)) for view in views(2))
    assert np.array_equal(first, np.asarray(PHOTOGRAPH))
    assert np.array_equal(second, np.asarray(PHOTOGRAPH)[:, ::-1])


def test_all_views_differ_and_keep_most_of_the_photograph() -> None:
    seen = [view.of(PHOTOGRAPH) for view in views(32)]
    assert len({image.tobytes() for image in seen}) == 32
    assert all(image.width * image.height >= 0.6 * 101 * 60 for image in seen)


def test_a_view_in_the_corner_touches_both_edges() -> None:
    part = np.asarray(View(0.8, 1.0, 0.0, mirrored=False).of(PHOTOGRAPH))
    assert np.array_equal(part, np.asarray(PHOTOGRAPH)[:48, -81:])


@pytest.mark.parametrize("count", [0, 33])
def test_there_are_32_views(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 32"):
        views(count)
