from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.data.batches import Batches, batches
from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import PRESETS

SMALL = PRESETS["imagenet"].for_input_size(8, 8)


def crops(count: int, *, labelled: bool = True) -> Crops:
    array = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    ids = [f"picture {index}" for index in range(count)]
    return Crops.from_array(ids, array, list(range(count)) if labelled else None, SMALL)


@given(count=st.integers(1, 12), batch_size=st.integers(1, 15))
def test_batches_hold_every_image_once_whatever_their_size(count: int, batch_size: int) -> None:
    source = crops(count)
    made = list(batches(source, SMALL, batch_size))
    assert len(made) == len(batches(source, SMALL, batch_size))
    assert all(len(batch) == batch_size for batch in made[:-1])
    assert [image_id for batch in made for image_id in batch.ids] == list(source.ids)
    assert [label for batch in made if batch.labels is not None for label in batch.labels] == list(range(count))
    assert np.array_equal(np.concatenate([batch.images for batch in made]), SMALL.normalize(source.array[:]))


def test_every_iteration_starts_anew() -> None:
    made = Batches(crops(5), SMALL, 2)
    assert [batch.ids for batch in made] == [batch.ids for batch in made]


def test_batches_of_unlabelled_images_have_no_labels() -> None:
    assert all(batch.labels is None for batch in Batches(crops(3, labelled=False), SMALL, 2))


def test_crops_of_another_preprocessing_are_refused() -> None:
    with pytest.raises(ValueError, match="another preprocessing"):
        Batches(crops(2), PRESETS["caffe"].for_input_size(8, 8), 1)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 0 images"):
        Batches(crops(2), SMALL, 0)
