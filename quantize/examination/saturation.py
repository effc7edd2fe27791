"""Where sums of two products overflow 16 bits on CPUs without VNNI, and what that costs in accuracy.

Without VNNI, onnxruntime multiplies uint8 activations and int8 weights with VPMADDUBSW, which adds two neighbouring
products in 16 bits and saturates at 32,767. In a Conv the neighbours are two channels at the same place of the kernel.
Source: onnxruntime's documentation, "Quantize ONNX models", on data types and reduce_range. Depthwise layers have a
kernel of their own, which adds in 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from quantize.calibration.exposure import with_outputs
from quantize.formats.saturation import is_depthwise
from quantize.graph.nodes import INTEGER_WEIGHTED, attribute
from quantize.models.weights_apart import weights_apart

_HIGHEST, _LOWEST = 32767, -32768
_PLACES = 48
"""Output positions that are looked at in each image."""


@dataclass(frozen=True)
class LayerSaturation:
    """How a layer fares in 16 bits, over calibration images.

    Attributes:
        node: The layer's name.
        pairs: Sums of two products that were looked at.
        saturated: How many of them saturate.
        noise: Energy of what saturation takes from the layer's outputs, as a share of their variance, which is what
            later layers see.
    """

    node: str
    pairs: int
    saturated: int
    noise: float

    @property
    def share(self) -> float:
        """Return the share of the sums that saturate."""
        return self.saturated / self.pairs


def saturation(model: ModelProto, images: NDArray[np.float32], *, seed: int = 0) -> tuple[LayerSaturation, ...]:
    """Return how each Conv (but depthwise ones), Gemm and MatMul with constant weights fares with U8S8 in 16 bits.

    Activations get the range of these images, weights one scale a channel, as min-max calibration gives them.

    Args:
        model: The prepared fp32 model.
        images: Its inputs, float32 (N, 3, H, W).
        seed: Of the choice of places.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    layers = [node for node in model.graph.node if _is_layer(node, constants)]
    values = _inputs_of(layers, model, images)
    draw = np.random.default_rng(seed)
    return tuple(
        _layer(node, constants, values[node.input[0]], draw)
        for node in layers
        if np.isfinite(values[node.input[0]]).all()
    )


def _is_layer(node: NodeProto, constants: dict[str, NDArray[np.float32]]) -> bool:
    if node.op_type not in INTEGER_WEIGHTED or node.input[1] not in constants or attribute(node, "transA", 0):
        return False
    weights = constants[node.input[1]]
    if node.op_type == "Conv":
        return weights.ndim == 4 and not is_depthwise(weights.shape, attribute(node, "group", 1))
    return weights.ndim == 2


def _inputs_of(
    layers: list[NodeProto], model: ModelProto, images: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    source = model.graph.input[0].name
    wanted = [name for name in dict.fromkeys(node.input[0] for node in layers) if name != source]
    if not wanted:
        return {source: images}
    with weights_apart(model) as apart:
        session = apart.open(with_outputs(apart.model, wanted))
    parts = [session.run(wanted, {source: images[row : row + 1]}) for row in range(len(images))]
    joined = {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(wanted)}
    return {source: images, **joined}


def _layer(
    node: NodeProto, constants: dict[str, NDArray[np.float32]], inputs: NDArray[np.float32], draw: np.random.Generator
) -> LayerSaturation:
    weights = constants[node.input[1]]
    low, high = min(0.0, float(inputs.min())), max(0.0, float(inputs.max()))
    scale = (high - low) / 255 or 1.0
    zero = round(-low / scale)
    pairs = saturated = 0
    lost = energy = 0.0
    for part, seen in _groups(node, weights, inputs):
        steps, outputs = _even(_steps(_weight_rows(node, part))), []
        first, second = steps[:, 0::2], steps[:, 1::2]
        rows, places = np.nonzero(_can_saturate(first, second))  # few of all, sorted by output
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        for patches in _patches(node, part, seen, draw):
            codes = _even(np.clip(np.rint(patches / scale) + zero, 0, 255).astype(np.int32))
            pairs += len(codes) * first.size
            outputs.append(codes.astype(np.float64) @ steps.T.astype(np.float64))
            if not rows.size:
                continue
            sums = codes[:, 0::2][:, places] * first[rows, places]
            sums += codes[:, 1::2][:, places] * second[rows, places]
            taken = sums - np.clip(sums, _LOWEST, _HIGHEST)
            saturated += int(np.count_nonzero(taken))
            lost += float((np.add.reduceat(taken, starts, axis=1, dtype=np.float64) ** 2).sum())
        every = np.concatenate(outputs)
        energy += float(((every - every.mean(axis=0)) ** 2).sum())
    return LayerSaturation(node.name, pairs, saturated, lost / energy if energy else 0.0)


def _can_saturate(first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return where the sum of two products can leave 16 bits, whatever the activations' codes are."""
    most = np.maximum(first, 0) + np.maximum(second, 0)
    least = np.minimum(first, 0) + np.minimum(second, 0)
    can: NDArray[np.bool_] = (255 * most > _HIGHEST) | (255 * least < _LOWEST)
    return can


def _groups(
    node: NodeProto, weights: NDArray[np.float32], inputs: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Yield each group's weights and what it sees of the inputs."""
    count = attribute(node, "group", 1) if node.op_type == "Conv" else 1
    if count == 1:
        yield weights, inputs
        return
    yield from zip(np.split(weights, count), np.split(inputs, count, axis=1), strict=True)


def _steps(rows: NDArray[np.float32]) -> NDArray[np.int32]:
    largest = np.abs(rows).max(axis=1, keepdims=True)
    steps: NDArray[np.int32] = np.rint(rows / np.where(largest > 0, largest, 1) * 127).astype(np.int32)
    return steps


def _weight_rows(node: NodeProto, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (outputs, inputs) with a Conv's channels innermost, as the kernels lay them out."""
    if node.op_type == "Conv":
        return np.ascontiguousarray(weights.transpose(0, 2, 3, 1)).reshape(len(weights), -1)
    if node.op_type == "Gemm" and attribute(node, "transB", 0):
        return weights
    return weights.T


def _patches(
    node: NodeProto, weights: NDArray[np.float32], inputs: NDArray[np.float32], draw: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """Yield (places, inputs) of what the layer sees at drawn places of each image."""
    if node.op_type != "Conv":
        yield from (part.reshape(-1, part.shape[-1])[:_PLACES] for part in inputs[:, np.newaxis])
        return
    kernel = weights.shape[2:]
    stride, dilation = attribute(node, "strides", [1, 1]), attribute(node, "dilations", [1, 1])
    top, left, bottom, right = attribute(node, "pads", [0, 0, 0, 0])
    for image in inputs:
        padded = np.pad(image, ((0, 0), (top, bottom), (left, right)))
        spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
        counts = [max(1, (padded.shape[axis + 1] - spans[axis]) // stride[axis] + 1) for axis in (0, 1)]
        rows, columns = (draw.integers(0, count, _PLACES) * step for count, step in zip(counts, stride, strict=True))
        yield np.stack(
            [
                padded[:, row : row + spans[0] : dilation[0], column : column + spans[1] : dilation[1]]
                .transpose(1, 2, 0)
                .reshape(-1)
                for row, column in zip(rows, columns, strict=True)
            ]
        )


def _even(values: NDArray[np.int32]) -> NDArray[np.int32]:
    return values if values.shape[1] % 2 == 0 else np.pad(values, ((0, 0), (0, 1)))
