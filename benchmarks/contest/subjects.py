"""The networks of the tables: A has real weights, B made ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from make_networks import made
from networks.registry import ARCHITECTURES
from onnx import TensorProto, helper, numpy_helper

from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.models.catalog.catalog import catalog_entry_for
from quantize.models.download.fetch import fetch

Table = Literal["A", "B"]
_VIT_TOKENS = "/backbone/layernorm/Add_1_output_0"


@dataclass(frozen=True)
class Places:
    """Where things are: the photographs, their labels, a folder of real models, and one for all that is made."""

    photographs: Path
    labels: Path
    models: Path
    work: Path


@dataclass(frozen=True)
class Subject:
    """A network of a table.

    Attributes:
        title: What people call it.
        table: ``A`` or ``B``.
        file: Returns its file.
        pages: Whether it is calibrated and judged on rendered pages; else on the photographs.
        truth: Whether the images' labels are its classes.
        preset: Preprocessing; None where the catalog knows it by its weights.
        transformer: Whether it is one, which some tools want to be told.
        answers: Whether its top class means something.
    """

    title: str
    table: Table
    file: Callable[[Places], Path]
    pages: bool = False
    truth: bool = False
    preset: str | None = None
    transformer: bool = False
    answers: bool = True

    def preprocessing(self, model: Path) -> Preprocessing:
        """Return what is done to its images, sizes undecided."""
        if self.preset is not None:
            return PRESETS[self.preset]
        entry = catalog_entry_for(onnx.load(model))
        chosen = None if entry is None else entry.chosen_preprocessing()
        if chosen is None:
            raise SystemExit(f"{model}: the catalog does not know its preprocessing")
        return chosen


def _fetched(name: str, places: Places) -> Path:
    path = places.work / f"{name}.onnx"
    return path if path.is_file() else fetch(name, path).path


def _at_hand(file: str, places: Places) -> Path:
    return places.models / file


def _made(name: str, places: Places) -> Path:
    return made(name, places.photographs, places.work)


def _vit_features(places: Places) -> Path:
    """Return the ViT-S without the head that draws a map: its class token's 384 features stand for scores."""
    path = places.work / "vit_s_features.onnx"
    if not path.is_file():
        whole = onnx.load(_fetched("vit_s_focus", places))
        whole.graph.initializer.append(numpy_helper.from_array(np.array(0), "first"))
        whole.graph.node.append(helper.make_node("Gather", [_VIT_TOKENS, "first"], ["features"], axis=1))
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch_size", 384])
        del whole.graph.output[:]
        whole.graph.output.append(features)
        onnx.save_model(_needed(whole), path)
    return path


def _needed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without nodes and weights that no output reads."""
    wanted = {value.name for value in model.graph.output}
    kept = []
    for node in _in_order(model):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    weights = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    graph = helper.make_graph(kept[::-1], "features", model.graph.input, model.graph.output, weights)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _in_order(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return nodes from the last to the first."""
    return list(model.graph.node)[::-1]


SUBJECTS: Mapping[str, Subject] = {
    "squeezenet": Subject("SqueezeNet 1.0", "A", partial(_fetched, "squeezenet1.0-12"), truth=True),
    "efficientnet_lite0": Subject("EfficientNet-Lite0", "A", partial(_at_hand, "efficientnet_lite0.onnx"), truth=True),
    "efficientnet_lite2": Subject("EfficientNet-Lite2", "A", partial(_at_hand, "efficientnet_lite2.onnx"), truth=True),
    "pplcnet": Subject(
        "PP-LCNet, orientation of pages", "A", partial(_fetched, "pplcnet-pages"), pages=True, truth=True
    ),
    "nsfwjs_mobilenet_v2": Subject("MobileNetV2 of nsfwjs", "A", partial(_fetched, "nsfwjs-mobilenet_v2")),
    "nsfwjs_inception_v3": Subject("Inception-v3 of nsfwjs", "A", partial(_fetched, "nsfwjs-inception_v3")),
    "open_nsfw": Subject("open_nsfw, thin ResNet-50", "A", partial(_fetched, "open_nsfw")),
    "vit_s": Subject("ViT-S, features", "A", _vit_features, preset="imagenet", transformer=True, answers=False),
    **{
        name: Subject(
            architecture.title,
            "B",
            partial(_made, name),
            preset="imagenet",
            transformer=name.startswith("vit_"),
            answers=False,
        )
        for name, architecture in ARCHITECTURES.items()
    },
}
