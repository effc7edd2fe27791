"""The steps that random networks grow by: each takes a tensor and may take an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.vocabulary.steps import branches, elementwise, layers, moves
from tests.vocabulary.writer import Maps, Writer

Step = Callable[[Writer, Maps, Sequence[Maps]], Maps]
"""Adds nodes behind a tensor and returns what they make. The third argument holds all tensors that were made before."""

STEPS: dict[str, Step] = {
    step.__name__: step
    for step in (
        layers.conv,
        layers.pointwise,
        layers.depthwise,
        layers.grouped,
        layers.same_padded,
        layers.same_weights_twice,
        layers.tiny_weights,
        layers.transposed,
        elementwise.relu,
        elementwise.clip,
        elementwise.curve,
        elementwise.swish,
        elementwise.slope,
        branches.add,
        branches.multiply,
        branches.concat,
        elementwise.by_channel,
        elementwise.by_number,
        elementwise.normalized,
        moves.pooled,
        layers.squeezed,
        branches.split,
        moves.shuffled,
        moves.padded,
        moves.resized,
        elementwise.dropped,
        layers.attended,
        moves.sliced,
        branches.beside_a_constant,
        moves.channels_last,
        branches.least_and_most,
        elementwise.gelu,
        branches.means_of_channels,
        branches.twice,
    )
}
"""All steps by name; those that a tensor does not suit give it back as it is."""
