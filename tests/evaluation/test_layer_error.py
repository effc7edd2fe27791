from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from quantize.data.batches import Batch
from quantize.evaluation.layer_error import layer_errors


def images(count: int = 3) -> list[Batch]:
    values = np.random.default_rng(2).uniform(0, 255, (count, 1, 3, 32, 32)).astype(np.float32)
    return [Batch((f"image{number}",), image, None) for number, image in enumerate(values)]


def test_a_model_against_itself_has_no_error(colour_model: Path) -> None:
    fp32 = onnx.load(colour_model)
    assert [layer.sqnr_decibel for layer in layer_errors(fp32, fp32, images())] == [None, None]


def test_a_layer_with_wrong_weights_stands_out(colour_model: Path) -> None:
    fp32 = onnx.load(colour_model)
    wrong = onnx.ModelProto.FromString(fp32.SerializeToString())
    (weight,) = [tensor for tensor in wrong.graph.initializer if tensor.name == wrong.graph.node[-4].input[1]]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.5), weight.name))
    first, second = layer_errors(fp32, wrong, images())
    assert first.sqnr_decibel is None
    assert second.sqnr_decibel is not None
    assert second.sqnr_decibel < 10
