"""Recipes of the native engine for random networks, and how much further from fp32 each may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx import ModelProto

from quantize.engines.native.builder.layers import layers
from quantize.recipe import Recipe
from quantize.rewrites import REWRITES
from tests.vocabulary.engines import NATIVE


@dataclass(frozen=True)
class Tried:
    """A recipe that networks are built by.

    Attributes:
        recipe: Makes it of a prepared model.
        times: How many times the error that the plain recipe may have it may have; None: any, of values that are lost.
    """

    recipe: Callable[[ModelProto], Recipe]
    times: float | None = 1.0


def _but(**changes: object) -> Callable[[ModelProto], Recipe]:
    return lambda _: NATIVE.but(**changes)


def _every_other(model: ModelProto) -> tuple[str, ...]:
    return tuple(sorted(node.name for node in model.graph.node[::2]))


def _every_other_layer(model: ModelProto) -> tuple[str, ...]:
    return tuple(sorted(layer.node for layer in list(layers(model))[::2]))


def _stored(model: ModelProto) -> Recipe:
    nodes = _every_other_layer(model)
    return NATIVE.but(float_nodes=nodes, stored_nodes=nodes)


RECIPES = {
    "plain": Tried(lambda _: NATIVE),
    "equalized": Tried(_but(corrections=("equalization", *NATIVE.corrections))),
    "weights by squared error": Tried(_but(corrections=("weight_mse", "rounding", "bias"))),
    "uncorrected": Tried(_but(corrections=())),
    "int8 activations": Tried(_but(activation_type="int8")),
    "symmetric activations": Tried(_but(activation_type="int8", symmetric_activations=True), times=3),
    "weights of 7 bits": Tried(_but(reduce_range=True), times=2),
    "weights by tensor": Tried(_but(per_channel=False), times=None),
    "uint8 weights": Tried(_but(weight_type="uint8", corrections=())),
    "products that cannot saturate": Tried(
        lambda model: NATIVE.but(uint8_nodes=tuple(sorted(layer.node for layer in layers(model))))
    ),
    "common grids": Tried(_but(details=(("common_grids", "true"), *NATIVE.details)), times=None),
    "ranges by squared error": Tried(_but(range_rule="mse"), times=None),
    "ranges by entropy": Tried(_but(range_rule="entropy"), times=None),
    "every other node in float": Tried(lambda model: NATIVE.but(float_nodes=_every_other(model))),
    "every other layer stored": Tried(_stored),
    "rewritten when built": Tried(_but(rewrites=tuple(rewrite.name for rewrite in REWRITES)), times=None),
}
"""By name. Grids that several tensors share, and ranges that clip, lose values of networks that were not trained."""
