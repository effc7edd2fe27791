"""Files exchanged between an engine and its child process: calibration images in, candidates out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from quantize.data.batches import Batch
from quantize.disk import refusals_told
from quantize.errors import EngineError
from quantize.formats.bias_room import with_room_for_biases
from quantize.formats.kept_activations import with_activations
from quantize.models.artifact import ModelArtifact, save_model

_DEFAULT_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class ImageFile:
    """Calibration images in a file that the child process maps instead of loading it.

    Attributes:
        path: The file: float32 values, C order, nothing else.
        shape: (N, 3, H, W).
    """

    path: Path
    shape: tuple[int, ...]


def write_images(batches: Iterable[Batch], path: Path, limit: int) -> ImageFile:
    """Write the first ``limit`` images of the calibration set, one batch in memory at a time.

    Args:
        batches: The calibration set, normalized.
        path: The file to write.
        limit: Number of images wanted; fewer where the set has fewer.

    Raises:
        EngineError: There is no image.
    """
    count = 0
    each: tuple[int, ...] = ()
    with refusals_told(path), path.open("wb") as stream:
        for batch in batches:
            images = np.ascontiguousarray(batch.images[: limit - count], dtype=np.float32)
            stream.write(images.data)
            count += len(images)
            each = images.shape[1:]
            if count == limit:
                break
    if count == 0:
        raise EngineError("there are no calibration images", advice="give at least one, and better 100")
    return ImageFile(path, (count, *each))


def cleaned(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy without opset imports that no node uses.

    Neural Compressor has onnxruntime write the graph that it starts from, and onnxruntime imports eight domains of its
    own whether or not a node needs them; other readers refuse a model for a domain that they do not know.
    """
    used = {node.domain for node in _nodes(model.graph)} | {""}
    for function in model.functions:
        used |= {node.domain for node in function.node}
    clean = onnx.ModelProto()
    clean.CopyFrom(model)
    del clean.opset_import[:]
    for opset in sorted(model.opset_import, key=lambda entry: entry.domain):
        domain = "" if opset.domain in _DEFAULT_DOMAINS else opset.domain
        if domain in used:
            clean.opset_import.add(domain=domain, version=opset.version)
    return clean


def keep_candidate(captured: Path, folder: Path, name: str, fp32: onnx.ModelProto) -> ModelArtifact:
    """Move a model that the child process wrote to ``folder/name.onnx``, cleaned, with what was lost put right.

    Args:
        captured: The file as the child process made it; removed.
        folder: Where candidates are kept.
        name: The candidate's name, its recipe's id.
        fp32: The model that it was made of.

    Raises:
        ModelError: The file is no model that this package takes.
    """
    model = with_room_for_biases(with_activations(cleaned(onnx.load(captured)), fp32), fp32)
    artifact = save_model(model, folder / f"{name}.onnx")
    captured.unlink()
    return artifact


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _nodes(attribute.g)
