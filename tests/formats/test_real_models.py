"""Both formats of real models on real images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto
from PIL import Image

from quantize.data.preprocessing import PRESETS
from quantize.formats import quantized_format, to_qdq, to_qlinear
from tests.formats.plain_quantizer import quantized
from tests.formats.small_graphs import open_session

pytestmark = pytest.mark.real


def _images(shared: Path, preset: str, count: int) -> NDArray[np.float32]:
    preprocessing = PRESETS[preset].for_input_size(224, 224)
    names = [line.split()[0] for line in (shared / "imagenet" / "val.txt").read_text().splitlines() if line.strip()]
    crops = []
    for name in names[:: len(names) // count][:count]:
        with Image.open(shared / "imagenet" / "val" / name) as image:
            crops.append(preprocessing.crop_image(image))
    return preprocessing.normalize(np.stack(crops))


def _scores(model: ModelProto, images: NDArray[np.float32], optimized: str = "") -> NDArray[np.float32]:
    session = open_session(model, optimized=optimized)
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[None]})[0].reshape(1, -1) for image in images])


def test_both_formats_of_squeezenet_score_alike_to_the_bit(shared: Path, squeezenet: Path, tmp_path: Path) -> None:
    images = _images(shared, "caffe", 24)
    source = quantized(onnx.load(squeezenet), images[:8], float_ops=("GlobalAveragePool", "Softmax"))
    qlinear, qdq = to_qlinear(source), to_qdq(source)
    for model in (qlinear, qdq):
        onnx.checker.check_model(model, full_check=True)
    assert (qlinear.opset_import[0].version, qdq.opset_import[0].version) == (12, 13)
    assert (quantized_format(qlinear), quantized_format(qdq)) == ("qlinear", "qdq")
    assert Counter(node.op_type for node in qlinear.graph.node)["QLinearConv"] == 26
    expected = _scores(qlinear, images)
    np.testing.assert_array_equal(_scores(qdq, images, str(tmp_path / "fused.onnx")), expected)
    np.testing.assert_array_equal(_scores(to_qlinear(qdq), images), expected)
    np.testing.assert_array_equal(_scores(to_qdq(qlinear), images), expected)
    fused = Counter(node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node)
    assert fused["QLinearConv"] == 26
    assert fused["Conv"] == fused["Concat"] == 0


def test_both_formats_of_efficientnet_score_alike_to_the_bit(shared: Path, efficientnet: Path, tmp_path: Path) -> None:
    from quantize.models.prepare import prepare

    images = _images(shared, "imagenet", 12)
    source = quantized(prepare(efficientnet, tmp_path / "prepared.onnx").proto(), images[:6])
    qlinear, qdq = to_qlinear(source, opset=13), to_qdq(source)
    for model in (qlinear, qdq):
        onnx.checker.check_model(model, full_check=True)
    assert Counter(node.op_type for node in qlinear.graph.node)["QLinearConv"] == 49
    expected = _scores(qlinear, images)
    np.testing.assert_array_equal(_scores(qdq, images), expected)
    np.testing.assert_array_equal(_scores(to_qdq(qlinear), images), expected)
