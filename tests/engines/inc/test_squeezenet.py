from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from quantize.criterion import Criterion
from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.preprocessing import PRESETS
from quantize.data.split import split
from quantize.engines.inc.decision import kept_int8
from quantize.engines.inc.settings import IncSettings
from quantize.engines.inc.tuner import IncTuner
from quantize.formats.exact import open_exact_session
from quantize.models.artifact import ModelArtifact

pytestmark = [
    pytest.mark.real,
    pytest.mark.inc,
    pytest.mark.skipif(importlib.util.find_spec("neural_compressor") is None, reason="the extra inc is not installed"),
]


@dataclass(frozen=True)
class Scores:
    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    @property
    def top1(self) -> float:
        """Return the expected accuracy: a tie counts by its chance of being right."""
        true = self.values[np.arange(len(self.labels)), self.labels, None]
        higher, equal = (self.values > true).sum(axis=1), (self.values == true).sum(axis=1)
        return float(np.mean(np.where(higher == 0, 1 / equal, 0)))

    @property
    def ties(self) -> float:
        return float(np.mean((self.values == self.values.max(axis=1, keepdims=True)).sum(axis=1) > 1))


def scores(model: ModelArtifact, images: Batches) -> Scores:
    session = open_exact_session(model.path)
    name = model.contract.input.name
    values, labels = [], []
    for batch in images:
        values.append(session.run(None, {name: batch.images})[0].reshape(len(batch), -1))
        labels.append(batch.labels)
    return Scores(np.concatenate(values), np.concatenate(labels))


def test_squeezenet_keeps_its_accuracy_with_all_convolutions_in_int8(shared: Path, squeezenet: Path, tmp_path: Path):
    model = ModelArtifact.load(squeezenet)
    preprocessing = PRESETS["caffe"].for_input_size(224, 224)
    images = open_images(shared / "imagenet" / "val", shared / "imagenet" / "val.txt", classes=1000).subset(range(300))
    crops = crop_images(images, preprocessing, tmp_path / "crops", workers=2)
    parts = split(crops.ids, calibration_size=100, in_evaluation=False, certification_share=0.0, seed=1978)
    calibration = Batches(crops.subset(parts.calibration), preprocessing, 20)
    evaluation = Batches(crops.subset(parts.evaluation), preprocessing, 20)
    fp32 = scores(model, evaluation)
    measured: list[Scores] = []

    def evaluate(candidate: ModelArtifact) -> float:
        measured.append(scores(candidate, evaluation))
        return measured[-1].top1

    tuner = IncTuner(IncSettings(strategy="basic"), tmp_path / "work")
    trials = list(tuner.tune(model, Criterion("top1", baseline=fp32.top1, relative=0.02), evaluate, calibration))

    assert tuner.stopped == "met"
    first = trials[0].artifact
    assert first is not None
    proto = first.proto()
    onnx.checker.check_model(proto, full_check=True)
    assert Counter(node.op_type for node in proto.graph.node)["QLinearConv"] == 26
    assert first.opset == 12
    assert first.bytes < 1.3e6
    kept = kept_int8(trials[0].recipe)
    assert kept.weighted == kept.all_weighted == 26
    assert len(trials) == 1
    assert measured[0].ties < 0.005
    assert np.mean(measured[0].values.argmax(axis=1) == fp32.values.argmax(axis=1)) > 0.93
