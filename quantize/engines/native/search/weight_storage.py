"""Layers that compute in fp32: which of their weights are stored in int8, and models entirely in fp32."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx

from quantize.engines.native.builder.layers import layers
from quantize.engines.native.search.candidates import Candidates
from quantize.engines.native.search.ladder import Bisection
from quantize.engines.trial import Trial
from quantize.recipe import Recipe

_FREE = 0.01
"""Weights kept in fp32 whatever it costs may add this share to the size of a file whose weights are all in int8."""
_MORE_BYTES = 3
"""Bytes that a weight takes in fp32 beyond the one that it takes in int8."""


@dataclass(frozen=True)
class WeightStorage:
    """The layers whose weights may be stored in int8 while they compute in fp32.

    Attributes:
        elements: Number of weights, by layer.
        sensitivity: Mean KL from fp32 in nats with the weights of that layer alone in int8, by layer.
    """

    elements: Mapping[str, int]
    sensitivity: Mapping[str, float]

    def choices(self, float_ops: frozenset[str]) -> tuple[frozenset[str], ...]:
        """Return which weights to store, the smallest file first: each choice has one layer less, the last has none.

        The most sensitive weights are the first to be kept in fp32. The smallest file already keeps those in fp32 that
        together add less than 1 % to it: first and depthwise layers are small, and often the most sensitive.

        Args:
            float_ops: Layers (and other ops) that compute in fp32.
        """
        order = sorted(self.elements.keys() & float_ops, key=lambda name: (-self.sensitivity.get(name, 0.0), name))
        free = sum(self.elements.values()) * _FREE / _MORE_BYTES
        kept: set[str] = set()
        for name in order:
            if self.elements[name] <= free:
                free -= self.elements[name]
                kept.add(name)
        stored = frozenset(order) - kept
        choices = [stored]
        for name in order:
            if name in stored:
                stored -= {name}
                choices.append(stored)
        return tuple(choices)


def weight_storage(model: onnx.ModelProto, recipe: Recipe, sensitivity: Mapping[str, float]) -> WeightStorage:
    """Return the storage of a model's layers; what a recipe keeps in fp32 by name or type is never stored.

    Args:
        model: The fp32 model.
        recipe: What the configuration keeps in fp32.
        sensitivity: By layer.
    """
    dims = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    elements = {
        layer.node: math.prod(dims[layer.weight])
        for layer in layers(model)
        if layer.node not in recipe.float_nodes and layer.op_type not in recipe.float_op_types
    }
    return WeightStorage(elements, sensitivity)


def with_placement(
    recipe: Recipe, float_ops: frozenset[str], stored: frozenset[str], uint8: frozenset[str] = frozenset()
) -> Recipe:
    """Return a recipe with another placement.

    Args:
        recipe: The rest.
        float_ops: Ops that compute in fp32.
        stored: Of those, the layers whose weights are stored in int8.
        uint8: Layers whose weights are uint8 where they compute on integers.
    """
    return recipe.but(
        float_nodes=tuple(sorted(float_ops)),
        stored_nodes=tuple(sorted(stored)),
        uint8_nodes=tuple(sorted(uint8 - float_ops)),
    )


def evaluate_in_fp32(
    candidates: Candidates, recipe: Recipe, ops: frozenset[str], storage: WeightStorage, *, bounded: bool
) -> Iterator[Trial]:
    """Evaluate models that compute in fp32 throughout, down to the fp32 model itself.

    The graph that runs is the fp32 model's own, so all of them are as fast, and the search is for the smallest that
    meets the criterion: weights that break it are kept in fp32, the most sensitive first.

    Args:
        candidates: Evaluates them.
        recipe: Rules and corrections.
        ops: All ops.
        storage: Which weights may be stored.
        bounded: False evaluates the smallest and the largest file although the budget is spent, and no other.
    """
    choices = storage.choices(ops)
    if not bounded:
        choices = tuple(dict.fromkeys((choices[0], choices[-1])))
    bisection = Bisection(len(choices))
    while (index := bisection.next) is not None:
        recipe_of_choice = with_placement(recipe, ops, choices[index])
        candidate = candidates.evaluate(recipe_of_choice, None, "stored", bounded=bounded)
        yield candidate.trial
        bisection.record(index, passed=candidate.met)
