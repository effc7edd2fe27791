"""What the builder makes of a model's weights, for looking at each layer alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from quantize.engines.native.builder.weights import Placement


@dataclass(frozen=True)
class QuantizedWeights:
    """What the builder makes of the model's weights.

    Attributes:
        constants: Initializers that differ from the fp32 model's, by name: weights on their grid, corrected biases.
        biases: (unit, initializer) for layers that got a bias by correction.
    """

    constants: Mapping[str, onnx.TensorProto]
    biases: Mapping[str, str]

    @classmethod
    def of(cls, source: onnx.ModelProto, placement: Placement) -> QuantizedWeights:
        """Return what differs between the fp32 model and the one with its weights on their grids."""
        original = {tensor.name: tensor.SerializeToString() for tensor in source.graph.initializer}
        changed = {
            tensor.name: tensor
            for tensor in placement.model.graph.initializer
            if original.get(tensor.name) != tensor.SerializeToString()
        }
        return cls(changed, placement.added_biases)
