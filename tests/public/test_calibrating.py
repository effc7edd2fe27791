"""The calibration images in onnxruntime's own quantizer: it really takes its ranges from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import quantize
from quantize.data.batches import CalibrationDataLoader


def _input_scale(file: Path) -> float:
    """Return the scale of the quantized model's input."""
    weights = {tensor.name: tensor for tensor in onnx.load(file).graph.initializer}
    return float(numpy_helper.to_array(weights["image_scale"]))


def _quantized(reader: CalibrationDataLoader, place: Path, **options: Any) -> float:
    assert isinstance(reader, CalibrationDataReader)
    quantize_static(
        "model.onnx",
        place,
        reader,
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        extra_options=options,
    )
    return _input_scale(place)


def _range(reader: CalibrationDataLoader) -> float:
    images = np.concatenate([images for images, _ in reader])
    return float((max(images.max(), 0) - min(images.min(), 0)) / 255)


@pytest.mark.usefixtures("workplace")
def test_onnxruntime_takes_its_ranges_from_the_loaders_images(tmp_path: Path) -> None:
    scales = []
    for number, pictures in enumerate((np.full((6, 8, 8, 3), 90, np.uint8), np.full((6, 8, 8, 3), 255, np.uint8))):
        reader = quantize.calibration_loader(
            "model.onnx", images=pictures, preset="imagenet", sampling_size=4, batch_size=2
        )
        assert (len(reader), len(reader.ids)) == (2, 4)
        scales.append(_quantized(reader, tmp_path / f"{number}.onnx"))
        assert scales[-1] == pytest.approx(_range(reader))
        assert reader.get_next() is None
    assert scales[0] < scales[1]


@pytest.mark.usefixtures("workplace")
def test_onnxruntime_takes_them_in_strides_too(tmp_path: Path) -> None:
    reader = quantize.calibration_loader("model.onnx", data_path="images", preset="imagenet", sampling_size=6)
    assert _quantized(reader, tmp_path / "int8.onnx", CalibStridedMinMax=2) == pytest.approx(_range(reader))


@pytest.mark.usefixtures("workplace")
def test_they_are_those_that_tune_draws() -> None:
    reader = quantize.calibration_loader(
        "model.onnx", data_path="images", label_path="labels.txt", preset="imagenet", sampling_size=9
    )
    other = quantize.calibration_loader(
        "model.onnx", data_path="images", preset="imagenet", sampling_size=9, random_seed=7
    )
    by_path = CalibrationDataLoader.open(
        "images", preprocessing="imagenet", input_name="image", input_size=8, sampling_size=9, seed=1978
    )
    assert reader.ids == by_path.ids
    assert set(other.ids) != set(reader.ids)
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(reader, by_path, strict=True))
