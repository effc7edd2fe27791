"""Which weights of layers that compute in fp32 are stored in int8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from quantize.engines.native.builder.layers import layers
from quantize.recipe import Recipe

_FREE = 0.01
"""Weights kept in fp32 whatever it costs may add this share to the size of a file whose weights are all in int8."""
_MORE_BYTES = 3
"""Bytes that a weight takes in fp32 beyond the one that it takes in int8."""


@dataclass(frozen=True)
class Storage:
    """The layers whose weights may be stored in int8 where they compute in fp32.

    Attributes:
        elements: Number of weights, by layer.
        sensitivity: Mean KL from fp32 in nats with the weights of that layer alone in int8, by layer.
    """

    elements: Mapping[str, int]
    sensitivity: Mapping[str, float]

    def choices(self, float_units: frozenset[str]) -> tuple[frozenset[str], ...]:
        """Return which weights to store, the smallest file first: of every step one layer less, at last none.

        The most sensitive weights are the first to be kept in fp32. Of the smallest file, those are already that
        together add less than 1 % to it: first and depthwise layers are small, and often the most sensitive.

        Args:
            float_units: Layers (and other units) that compute in fp32.
        """
        order = sorted(self.elements.keys() & float_units, key=lambda name: (-self.sensitivity.get(name, 0.0), name))
        free = sum(self.elements.values()) * _FREE / _MORE_BYTES
        kept: set[str] = set()
        for name in order:
            if self.elements[name] <= free:
                free -= self.elements[name]
                kept.add(name)
        stored = frozenset(order) - kept
        steps = [stored]
        for name in order:
            if name in stored:
                stored -= {name}
                steps.append(stored)
        return tuple(steps)


def storage_of(model: onnx.ModelProto, recipe: Recipe, sensitivity: Mapping[str, float]) -> Storage:
    """Return the storage of a model's layers; what a recipe keeps in fp32 by name or type is never stored.

    Args:
        model: The fp32 model.
        recipe: What the user asked for.
        sensitivity: By layer.
    """
    dims = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    elements = {}
    for layer in layers(model):
        if layer.node not in recipe.float_nodes and layer.op_type not in recipe.float_op_types:
            count = 1
            for size in dims[layer.weight]:
                count *= int(size)
            elements[layer.node] = count
    return Storage(elements, sensitivity)


def placed(
    recipe: Recipe, float_units: frozenset[str], stored: frozenset[str], uint8: frozenset[str] = frozenset()
) -> Recipe:
    """Return a recipe with another placement.

    Args:
        recipe: The rest.
        float_units: Units that compute in fp32.
        stored: Of those, the layers whose weights are stored in int8.
        uint8: Layers whose weights are uint8 where they compute on integers.
    """
    return recipe.but(
        float_nodes=tuple(sorted(float_units)),
        stored_nodes=tuple(sorted(stored)),
        uint8_nodes=tuple(sorted(uint8 - float_units)),
    )
