"""The default rewrites on real models and real images."""

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
from quantize.models.prepare import prepare
from quantize.rewrites import check_input_contract, contract_input, fold_input_contract, rewrite, select_rewrites
from quantize.rewrites.runner import scores
from tests.formats.plain_quantizer import quantized

pytestmark = pytest.mark.real
COUNT = 48


def _crops(shared: Path, preset: str) -> NDArray[np.uint8]:
    preprocessing = PRESETS[preset].for_input_size(224, 224)
    names = [line.split()[0] for line in (shared / "imagenet" / "val.txt").read_text().splitlines() if line.strip()]
    crops = []
    for name in names[:: len(names) // COUNT][:COUNT]:
        with Image.open(shared / "imagenet" / "val" / name) as image:
            crops.append(preprocessing.crop_image(image))
    return np.stack(crops)


def _batches(images: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    return [images[start : start + 12] for start in range(0, len(images), 12)]


def _agreement(model: ModelProto, images: NDArray[np.generic], reference: NDArray[np.float32]) -> float:
    return float(np.mean(scores(model, _batches(images)).argmax(axis=1) == reference.argmax(axis=1)))


@pytest.mark.usefixtures("eight_bit_space_to_depth")
def test_squeezenet_keeps_its_answers_in_both_formats_and_loses_its_ties(shared: Path, squeezenet: Path) -> None:
    fp32 = onnx.load(squeezenet)
    preprocessing = PRESETS["caffe"].for_input_size(224, 224)
    images = preprocessing.normalize(_crops(shared, "caffe"))
    reference = scores(fp32, _batches(images))
    source = quantized(fp32, images[:16])
    done = rewrite(source, select_rewrites("default"), images=_batches(images))
    kept = {record.name: record for record in done.records if record.kept}
    assert set(kept) == {
        *("redundant", "space-to-depth", "stem-by-rows", "stem-by-columns", "common-scales"),
        *("float-head", "mean-as-product", "matrix-units"),
    }
    head = kept["float-head"].movement
    assert head is not None
    assert head.ties_after < head.ties_before
    kinds = Counter(node.op_type for node in done.qlinear.graph.node)
    assert (kinds["QLinearConv"], kinds["Concat"], kinds["QLinearConcat"]) == (26, 8, 0)
    qlinear = scores(done.qlinear, _batches(images))
    np.testing.assert_array_equal(scores(done.qdq, _batches(images)), qlinear)
    highest = np.sort(qlinear, axis=1)
    assert (highest[:, -1] > highest[:, -2]).all()
    assert _agreement(done.qlinear, images, reference) >= _agreement(source, images, reference) - 1 / COUNT


@pytest.mark.usefixtures("eight_bit_space_to_depth")
def test_efficientnet_takes_raw_pixels_with_the_same_answers(shared: Path, efficientnet: Path, tmp_path: Path) -> None:
    fp32 = prepare(efficientnet, tmp_path / "prepared.onnx").proto()
    preprocessing = PRESETS["imagenet"].for_input_size(224, 224)
    crops = _crops(shared, "imagenet")[:24]
    images = preprocessing.normalize(crops)
    source = quantized(fp32, images[:8])
    folded = fold_input_contract(source, "uint8-nhwc", preprocessing, reference=fp32)
    moved = check_input_contract(source, folded, "uint8-nhwc", preprocessing, crops)
    assert moved.relative < 0.15
    pixels = contract_input("uint8-nhwc", preprocessing, crops)
    done = rewrite(folded, select_rewrites("default"), images=_batches(pixels), opset=13)
    kept = [record.name for record in done.records if record.kept]
    assert kept[1:4] == ["space-to-depth", "stem-by-rows", "stem-by-columns"]
    assert [node.op_type for node in done.qlinear.graph.node][:3] == ["Pad", "Reshape", "Gather"]
    reference = scores(fp32, _batches(images))
    assert _agreement(done.qlinear, pixels, reference) >= _agreement(source, images, reference) - 1 / 24
    np.testing.assert_array_equal(scores(done.qlinear, _batches(pixels)), scores(done.qdq, _batches(pixels)))
