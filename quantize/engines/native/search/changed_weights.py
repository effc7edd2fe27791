"""Constants of a quantized candidate that stand in for those of the fp32 model, op by op."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx


@dataclass(frozen=True)
class ChangedWeights:
    """What the weights of ops become in a candidate.

    Attributes:
        constants: By name, the initializers that differ from the fp32 model's: weights rounded to their grid, corrected
            biases.
        biases: By op, the one among them that is its bias, where the fp32 model has none in the op itself.
    """

    constants: Mapping[str, onnx.TensorProto]
    biases: Mapping[str, str] = field(default_factory=dict)

    def of(self, op: str, node: onnx.NodeProto) -> list[onnx.TensorProto]:
        """Return the constants of an op, whose first node is given; none where its weights are the fp32 model's."""
        changed = [self.constants[name] for name in node.input if name in self.constants]
        if changed and op in self.biases:
            changed.append(self.constants[self.biases[op]])
        return changed

    def only(self, ops: Mapping[str, onnx.NodeProto]) -> ChangedWeights:
        """Return those of some ops, given with their first nodes, alone."""
        constants = {tensor.name: tensor for op, node in ops.items() for tensor in self.of(op, node)}
        return ChangedWeights(constants, {op: name for op, name in self.biases.items() if op in ops})
