"""The nodes that no recipe of an engine's can compute on integers."""

from __future__ import annotations

from collections.abc import Collection

from onnx import ModelProto

from quantize.engines.native.builder.builder import op_types_of
from quantize.formats.float_reasons import FloatReason, float_reasons
from quantize.recipe import Recipe


def nodes_in_float(
    model: ModelProto, recipe: Recipe, *, known: Collection[str] | None = None
) -> dict[str, FloatReason]:
    """Return the nodes that stay in float in every recipe with the types of this one, and why, by name.

    Args:
        model: The graph that the recipe is applied to.
        recipe: What it leaves in float by choice does not count.
        known: The tensors that there are statistics of; None where that is not asked.
    """
    return float_reasons(
        model,
        op_types_of(recipe.but(float_op_types=())),
        activation_type=recipe.activation_type,
        weight_type=recipe.weight_type,
        known=known,
    )
