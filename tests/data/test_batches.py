from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.data.batches import Batches, CalibrationDataLoader
from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import PRESETS
from quantize.errors import ConfigError

SMALL = PRESETS["imagenet"].for_input_size(8, 8)


def crops(count: int, *, labelled: bool = True) -> Crops:
    array = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    ids = [f"picture {index}" for index in range(count)]
    return Crops.from_array(ids, array, list(range(count)) if labelled else None, SMALL)


@given(count=st.integers(1, 12), batch_size=st.integers(1, 15))
def test_batches_hold_every_image_once_whatever_their_size(count: int, batch_size: int) -> None:
    source = crops(count)
    made = list(Batches(source, SMALL, batch_size))
    assert len(made) == len(Batches(source, SMALL, batch_size))
    assert all(len(batch) == batch_size for batch in made[:-1])
    assert [image_id for batch in made for image_id in batch.ids] == list(source.ids)
    assert [label for batch in made if batch.labels is not None for label in batch.labels] == list(range(count))
    assert np.array_equal(np.concatenate([batch.images for batch in made]), SMALL.normalize(source.array[:]))


@given(count=st.integers(1, 12), batch_size=st.integers(1, 15), most=st.integers(1, 15))
def test_a_few_images_fill_whole_batches(count: int, batch_size: int, most: int) -> None:
    made = list(Batches.few(crops(count), SMALL, batch_size, most=most))
    ids = [image_id for batch in made for image_id in batch.ids]
    assert all(len(batch) == batch_size for batch in made)
    assert batch_size <= len(ids) <= max(most, batch_size)
    assert ids == [f"picture {at % count}" for at in range(len(ids))]


def test_every_iteration_starts_over() -> None:
    made = Batches(crops(5), SMALL, 2)
    assert [batch.ids for batch in made] == [batch.ids for batch in made]


def test_any_batch_is_had_by_its_place() -> None:
    made = Batches(crops(5), SMALL, 2)
    for at, batch in enumerate(made):
        assert made[at].ids == batch.ids
        assert np.array_equal(made[at].images, batch.images)
    for wrong in (-1, 3):
        with pytest.raises(IndexError):
            made[wrong]


def test_batches_of_unlabelled_images_have_no_labels() -> None:
    assert all(batch.labels is None for batch in Batches(crops(3, labelled=False), SMALL, 2))


def test_crops_of_another_preprocessing_are_refused() -> None:
    with pytest.raises(ValueError, match="another preprocessing"):
        Batches(crops(2), PRESETS["caffe"].for_input_size(8, 8), 1)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 0 images"):
        Batches(crops(2), SMALL, 0)


Flat = Callable[[int], tuple[Path, Path]]


def loader(flat: Flat, tmp_path: Path, *, sampling_size: int = 5) -> CalibrationDataLoader:
    return CalibrationDataLoader.open(
        *flat(8),
        preprocessing="caffe",
        input_name="data_0",
        input_size=16,
        sampling_size=sampling_size,
        batch_size=2,
        calibration_cache=tmp_path / "cache",
    )


def test_it_iterates_inputs_with_labels_again_and_again(flat: Flat, tmp_path: Path) -> None:
    data = loader(flat, tmp_path)
    first, second = list(data), list(data)
    assert (data.batch_size, len(data)) == (2, 3)
    assert [images.shape for images, _ in first] == [(2, 3, 16, 16), (2, 3, 16, 16), (1, 3, 16, 16)]
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(first, second, strict=True))
    labels = np.concatenate([labels for _, labels in first if labels is not None])
    assert len(set(labels.tolist())) == 5


def test_get_next_ends_with_none_and_rewinds(flat: Flat, tmp_path: Path) -> None:
    data = loader(flat, tmp_path)
    taken = list(iter(data.get_next, None))
    assert [list(feed) for feed in taken] == [["data_0"]] * 3
    assert data.get_next() is None
    data.rewind()
    again = data.get_next()
    assert again is not None
    assert np.array_equal(again["data_0"], taken[0]["data_0"])


def test_onnxruntime_takes_it_for_a_calibration_data_reader(flat: Flat, tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader

    assert isinstance(loader(flat, tmp_path), CalibrationDataReader)


def test_more_images_than_there_are_is_an_error(flat: Flat, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too many calibration images"):
        loader(flat, tmp_path, sampling_size=9)
