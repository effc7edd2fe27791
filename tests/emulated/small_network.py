"""A small network that tells 20 photographs apart, and views of them: real weights and images, a fast emulation.

The first layers of SqueezeNet, with its published weights, see 64 pixels; a Gemm takes the photograph whose views lie
nearest in the mean of their channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper
from PIL import Image

from quantize.data.demonstration import demonstration_data
from quantize.data.preprocessing import PRESETS
from quantize.models.session import open_session

PIXELS = 64
PRESET = "caffe"
_FEATURES = "fire4/concat_1"
_VIEWS = 4
"""Of each photograph: two that the Gemm is made of, one that calibrates, one that is judged."""


@dataclass(frozen=True)
class SmallNetwork:
    """The paths of its files.

    Attributes:
        model: The fp32 model.
        images: A flat folder of 20 images to calibrate with and 20 to judge by.
        labels: Their label file.
        calibration: The names of those to calibrate with.
    """

    model: Path
    images: Path
    labels: Path
    calibration: Path


def small_network(squeezenet: Path, folder: Path) -> SmallNetwork:
    """Write the network and its images.

    Args:
        squeezenet: The fp32 model whose first layers are used.
        folder: Where to write.
    """
    views = _views(folder)
    network = SmallNetwork(*(folder / name for name in ("small.onnx", "images", "labels.txt", "calibration.txt")))
    features = _features(onnx.load(squeezenet))
    session = open_session(features.SerializeToString())
    made_of = [[session.run(None, {"data_0": image[None]})[0][0] for image in pixels(two)] for two in views[:, :2]]
    classifier = _with_nearest(features, np.array(made_of).mean(axis=1))
    network.model.write_bytes(classifier.SerializeToString(deterministic=True))
    network.images.mkdir(exist_ok=True)
    labels, calibration = [], []
    for number, photograph in enumerate(views):
        for view in photograph[2:]:
            (network.images / view.name).write_bytes(view.read_bytes())
            labels.append(f"{view.name} {number}\n")
        calibration.append(f"{photograph[2].name}\n")
    network.labels.write_text("".join(labels), encoding="utf-8")
    network.calibration.write_text("".join(calibration), encoding="utf-8")
    return network


def photographs(folder: Path) -> NDArray[np.object_]:
    """Return the files of the 20 photographs, whole."""
    return _views(folder)[:, 0]


def pixels(files: NDArray[np.object_], size: int = PIXELS) -> NDArray[np.float32]:
    """Return images as the network takes them, (N, 3, size, size)."""
    preprocessing = PRESETS[PRESET].for_input_size(size, size)
    crops = []
    for file in files:
        with Image.open(file) as image:
            crops.append(preprocessing.crop_image(image))
    return preprocessing.normalize(np.stack(crops))


def _views(folder: Path) -> NDArray[np.object_]:
    """Return the files of the views, (photographs, views)."""
    data = demonstration_data(folder, views_each=_VIEWS)
    return np.array(sorted(data.data_path.iterdir()), dtype=object).reshape(data.photographs, _VIEWS)


def _features(model: ModelProto) -> ModelProto:
    """Return the first layers, and the mean of each channel: (N, channels)."""
    graph = model.graph
    last = next(at for at, node in enumerate(graph.node) if _FEATURES in node.output)
    del graph.node[last + 1 :]
    graph.node.append(helper.make_node("GlobalAveragePool", [_FEATURES], ["mean"], "mean"))
    graph.node.append(helper.make_node("Flatten", ["mean"], ["features"], "flatten"))
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:], graph.output[:], graph.value_info[:]
    graph.initializer.extend(kept)
    inputs = [value for value in graph.input if value.name == "data_0"]
    del graph.input[:]
    graph.input.extend(inputs)
    for axis in (2, 3):
        graph.input[0].type.tensor_type.shape.dim[axis].dim_value = PIXELS
    graph.output.append(helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["N", "C"]))
    return model


def _with_nearest(features: ModelProto, centres: NDArray[np.float32]) -> ModelProto:
    """Return the network with a score for each of ``centres``, (classes, channels): the highest is the nearest's."""
    model = ModelProto.FromString(features.SerializeToString())
    graph = model.graph
    # |f - c|^2 is smallest where f.c - |c|^2 / 2 is largest; the scale makes scores of a few units.
    scale = 1 / np.square(centres).sum(axis=1).mean()
    weights, bias = 10 * scale * centres, -5 * scale * np.square(centres).sum(axis=1)
    graph.initializer.append(numpy_helper.from_array(weights.astype(np.float32), "centres"))
    graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), "sizes"))
    graph.node.append(helper.make_node("Gemm", ["features", "centres", "sizes"], ["scores"], "nearest", transB=1))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["N", len(centres)]))
    return model
