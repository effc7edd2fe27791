"""Bias correction: a layer's bias takes off what rounding its weights adds to the mean of its outputs.

M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx

from quantize.engines.native.builder.constants import Constants
from quantize.engines.native.builder.layers import Layer, layers
from quantize.engines.native.builder.weight_scales import Floats
from quantize.graph.nodes import reads
from quantize.graph.product_folding import added_bias
from quantize.graph.view import Graph
from quantize.grid.parts import in_parts

_TOGETHER = 1 << 20
"""Weights that are compared at a time: of a layer of a hundred million, all would take more than a gigabyte."""


def bias_shift(layer: Layer, rows: Floats, on_grid: Floats, means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return float64 (output channels,), what to add to the bias: ``sum((W - Wq) * E[x])``.

    The means of the layer's input are those of the calibration pass. The zeros of a Conv's padding are ignored: they
    count as if they had the means.

    Args:
        layer: The layer.
        rows: ``W`` as float32 (output channels, inputs of one), of the fp32 model, which is the reference.
        on_grid: ``Wq``, of the same form.
        means: (input channels,) mean of the layer's input by channel over the calibration images.
    """
    outputs, inputs = rows.shape
    channels = means.size // layer.group
    of_inputs = np.repeat(means.reshape(layer.group, channels), inputs // channels, axis=1)
    group_of = np.repeat(np.arange(layer.group), outputs // layer.group)
    shift = np.empty(outputs)
    for part in in_parts(rows, _TOGETHER):
        error = (rows[part] - on_grid[part]).astype(np.float64)
        of_rows = of_inputs[group_of[part]] if layer.group > 1 else of_inputs
        np.einsum("oi,oi->o", error, of_rows, out=shift[part])
    return shift


class BiasPlaces:
    """Where the layers of a model have their biases.

    The bias of a MatMul is the Add behind it, of a constant with one number for each output.
    """

    def __init__(self, model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], constants: Constants) -> None:
        """Set up.

        Args:
            model: The model as it was.
            nodes: Copies of its nodes, in their order, which ``shift`` changes.
            constants: Its constants, which ``shift`` changes too.
        """
        self._all, self._constants = nodes, constants
        self._nodes = {node.name: node for node in nodes}
        self._adds: dict[str, tuple[onnx.NodeProto, int]] = {}
        graph = Graph.of(model)
        places = {id(node): place for place, node in enumerate(graph.nodes)}
        given = {node.name: node for node in graph.nodes}
        for layer in layers(model):
            weights = graph.tensor(layer.weight)
            if layer.op_type == "MatMul" and weights is not None and len(weights.dims) == 2:
                add = added_bias(graph, given[layer.node], weights.dims[1])
                if add is not None:
                    self._adds[layer.node] = nodes[places[id(add[0])]], add[1]

    def has_one(self, layer: Layer) -> bool:
        """Return whether a layer has a bias of its own, or an input for one."""
        if layer.op_type == "MatMul":
            return layer.node in self._adds
        return layer.bias is not None or len(self._nodes[layer.node].input) < 3

    def shift(self, layer: Layer, shift: npt.NDArray[np.float64]) -> str | None:
        """Add to the bias of a layer that has a place for one.

        Args:
            layer: The layer.
            shift: float64 (output channels,).

        Returns:
            A name for the constant that the layer has got by this; None where its own bias was changed. It is that of a
            new initializer, its bias, or, of a MatMul, one for the shift alone, which its Add holds in its bias.
        """
        if layer.op_type == "MatMul":
            return self._shift_add(layer, shift)
        if layer.bias is not None:
            self._constants.replace(layer.bias, (self._constants.values_of(layer.bias) + shift).astype(np.float32))
            return None
        name = f"{layer.weight}:corrected_bias"
        self._constants.replace(name, shift.astype(np.float32))
        self._nodes[layer.node].input.append(name)
        return name

    def _shift_add(self, layer: Layer, shift: npt.NDArray[np.float64]) -> str:
        add, position = self._adds[layer.node]
        given, corrected = add.input[position], f"{layer.weight}:corrected_bias"
        self._constants.replace(corrected, (self._constants.values_of(given) + shift).astype(np.float32))
        add.input[position] = corrected
        if not any(given in reads(node) for node in self._all):  # other nodes may add it too
            del self._constants[given]
        return f"{layer.weight}:bias_shift"
