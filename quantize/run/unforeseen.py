"""Layers whose error cannot be predicted: what they take is rounded to where fp32 computes no number, such as 1 / 0."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quantize.evaluation.layer_check import LayerFinding
from quantize.graph.private_makers import with_private_makers
from quantize.graph.view import Graph


class Unforeseen:
    """What goes to float for the sake of such layers: each with what computes its inputs, further back every time.

    A layer alone in float would still take what was rounded.
    """

    def __init__(self, reference: Graph) -> None:
        """Begin without such layers; ``reference`` is the fp32 model."""
        self._reference = reference
        self._taken: dict[str, tuple[str, ...]] = {}
        self._ended: set[str] = set()

    def growing(self, layer: str) -> bool:
        """Return whether a layer has been one of these and there is more that can go to float for it."""
        return layer in self._taken and layer not in self._ended

    def left(self, findings: Iterable[LayerFinding]) -> tuple[LayerFinding, ...]:
        """Return the findings that say something.

        Where all that leads to a layer is in float, but other layers read the same values rounded, no error can be
        predicted for it either: it has to give a number where fp32 does.
        """
        return tuple(one for one in findings if one.foreseen or one.layer not in self._ended or not one.is_number)

    def nodes(self, wrong: Sequence[LayerFinding]) -> tuple[str, ...]:
        """Return the fp32 model's nodes that go to float for layers that were found wrong, these or others."""
        by_layer: dict[str, list[str]] = {}
        for finding in wrong:
            by_layer.setdefault(finding.layer, []).extend(finding.nodes)
        unforeseen = {finding.layer for finding in wrong if not finding.foreseen} | set(self._taken)
        every: list[str] = []
        for layer, own in by_layer.items():
            every += self._further(layer, own) if layer in unforeseen else own
        return tuple(dict.fromkeys(every))

    def _further(self, layer: str, own: Sequence[str]) -> tuple[str, ...]:
        before = self._taken.get(layer, ())
        nodes = with_private_makers(self._reference, (*before, *own), shared=bool(before))
        if set(nodes) == set(before):
            self._ended.add(layer)
        self._taken[layer] = nodes
        return nodes
