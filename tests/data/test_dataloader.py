from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantize.data.batches import CalibrationDataLoader
from quantize.errors import ConfigError

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
