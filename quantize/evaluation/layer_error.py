"""The error of each quantized layer against the same layer in fp32, on real images."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto

from quantize.calibration.exposure import with_outputs
from quantize.data.batches import Batch
from quantize.formats import canonical
from quantize.graph.nodes import ACTIVATIONS, INTEGER_WEIGHTED
from quantize.graph.view import Graph
from quantize.models.weights_apart import WeightsApart, weights_apart

_QUANTIZED_SUFFIX = "_quant"


@dataclass(frozen=True)
class LayerError:
    """One layer.

    Attributes:
        node: Name of the fp32 model's node.
        op_type: Its operator.
        sqnr_decibel: Energy of the fp32 layer's result over that of the difference, in dB; None if they are equal.
    """

    node: str
    op_type: str
    sqnr_decibel: float | None


def layer_errors(fp32: ModelProto, quantized: ModelProto, batches: Iterable[Batch]) -> tuple[LayerError, ...]:
    """Return the error of every Conv, Gemm and MatMul, its activation included, in the order of the fp32 graph.

    Both models see the same images; what a layer gets from the layers before it has their error already. Layers are
    matched by name; a layer that the quantized model does not have is left out.

    Args:
        fp32: The prepared fp32 model.
        quantized: The candidate made from it, in any format, before rewrites.
        batches: Images as both take them; one batch is in memory at a time.
    """
    with weights_apart(fp32) as apart, weights_apart(canonical(quantized)) as own:
        before, after = Graph.of(apart.model), Graph.of(own.model)
        pairs = []
        for node in before.sorted_nodes():
            twin = _twin(after, node) if node.op_type in INTEGER_WEIGHTED else None
            if twin is not None:
                pairs.append((node, _result(before, node), _result(after, twin)))
        ours, theirs = _Probe(apart, [pair[1] for pair in pairs]), _Probe(own, [pair[2] for pair in pairs])
    signal, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    for batch in batches:
        for index, (a, b) in enumerate(zip(ours.run(batch.images), theirs.run(batch.images), strict=True)):
            signal[index] += np.square(a, dtype=np.float64).sum()
            noise[index] += np.square(a.astype(np.float64) - b).sum()
    return tuple(
        LayerError(
            node=node.name,
            op_type=node.op_type,
            sqnr_decibel=10 * math.log10(signal[index] / noise[index]) if noise[index] > 0 < signal[index] else None,
        )
        for index, (node, _, _) in enumerate(pairs)
    )


class _Probe:
    """Runs a model and returns some of its inner tensors."""

    def __init__(self, apart: WeightsApart, tensors: list[str]) -> None:
        model = with_outputs(apart.model, dict.fromkeys(tensors))
        # Without optimization: what is asked for would keep layers from being fused, and differently in each model.
        # Not packed: it is for a few images, and would hold large weights twice.
        self._session = apart.open(model, optimization="none", prepacking=False)
        self._input = self._session.get_inputs()[0].name
        self._tensors = tensors

    def run(self, images: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        return list(self._session.run(self._tensors, {self._input: images})) if self._tensors else []


def _twin(graph: Graph, node: NodeProto) -> NodeProto | None:
    for other in graph.nodes:
        exact = other.name == node.name or other.name.startswith(f"{node.name}{_QUANTIZED_SUFFIX}")
        if exact and other.op_type == node.op_type:
            return other
    return None


def _result(graph: Graph, node: NodeProto) -> str:
    """Return the float tensor that holds a layer's result: after its activation, and after its own quantization."""
    name: str = node.output[0]
    for wanted in (ACTIVATIONS, ("QuantizeLinear",), ("DequantizeLinear",)):
        readers = graph.consumers(name)
        if readers and all(reader.op_type in wanted for reader in readers):
            name = readers[0].output[0]
        elif wanted == ("DequantizeLinear",):
            break
    maker = graph.producer(name)
    if maker is not None and maker.op_type == "QuantizeLinear":  # nothing dequantizes it right away
        name = maker.input[0]
    return name
