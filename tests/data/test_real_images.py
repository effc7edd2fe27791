from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.preprocessing import PRESETS

pytestmark = pytest.mark.real


def crops_of(shared: Path, preset: str, cache: Path) -> Crops:
    images = open_images(shared / "imagenet" / "val", shared / "imagenet" / "val.txt", classes=1000)
    return crop_images(images, PRESETS[preset].for_input_size(224, 224), cache)


def right(model: Path, crops: Crops, preset: str) -> tuple[float, float]:
    """Return top-1 and top-5 of a model in fp32."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    ranks = []
    for batch in Batches(crops, PRESETS[preset].for_input_size(224, 224), 20):
        scores = np.asarray(session.run(None, {name: batch.images})[0]).reshape(len(batch), -1)
        assert batch.labels is not None
        of_label = scores[np.arange(len(batch)), batch.labels]
        ranks.append((scores > of_label[:, None]).sum(axis=1))
    rank = np.concatenate(ranks)
    return float((rank < 1).mean()), float((rank < 5).mean())


def test_squeezenet_with_caffe_gives_the_measured_accuracy(shared: Path, squeezenet: Path, tmp_path: Path) -> None:
    assert right(squeezenet, crops_of(shared, "caffe", tmp_path), "caffe") == (0.672, 0.858)


def test_efficientnet_is_right_more_often_with_the_values_that_it_was_trained_on(
    shared: Path, efficientnet: Path, tmp_path: Path
) -> None:
    few = crops_of(shared, "imagenet", tmp_path).subset(range(0, 500, 4))
    trained, other = right(efficientnet, few, "efficientnet_lite"), right(efficientnet, few, "imagenet")
    assert 0.84 < trained[0] < 0.93
    assert trained[1] > 0.95
    assert other[0] < trained[0] - 0.05
