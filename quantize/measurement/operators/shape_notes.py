"""What in the shape of a convolution makes int8 gain little."""

from __future__ import annotations

from onnx import ModelProto

from quantize.graph.nodes import attribute
from quantize.graph.shapes import inferred_shapes

# An int8 dot product takes four channels at once.
_CHANNELS_AT_ONCE = 4
DEPTHWISE = "depthwise"


def shape_notes(model: ModelProto) -> dict[str, str]:
    """Return a note for each Conv, by name, that an int8 kernel does not suit; the others are left out.

    Few input channels make a slow gathering of the patches that the product is made of; a depthwise Conv has no sum
    over channels for the int8 dot product to shorten.

    Args:
        model: The fp32 model, its nodes named.
    """
    shapes = inferred_shapes(model)
    notes = {}
    for node in model.graph.node:
        weight = shapes.get(node.input[1]) if node.op_type == "Conv" else None
        if not weight or not isinstance(weight[1], int):
            continue
        if attribute(node, "group", 1) > 1 and weight[1] == 1:
            notes[node.name] = DEPTHWISE
        elif attribute(node, "group", 1) == 1 and weight[1] < _CHANNELS_AT_ONCE:
            notes[node.name] = few_channels(weight[1])
    return notes


def few_channels(number: int) -> str:
    """Return the note for a Conv with so few input channels."""
    return f"{number} input channel{'' if number == 1 else 's'}"
