"""Are the weights finite numbers? A mask's infinities are, in a way: they are meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from quantize.examination.findings import Examination, Finding, right, wrong
from quantize.graph.nodes import WEIGHTED, constant_value, is_op, subgraphs

_NAME = "weights"
_NORMALIZATIONS = ("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "PRelu")
_HUGE = 1e9
"""No training leaves weights of this size; values to fill a mask with are larger."""


@dataclass(frozen=True)
class _Stored:
    """A constant of floats that some node reads: its values, and whether a layer takes it as weights."""

    name: str
    values: NDArray[Any]
    is_weight: bool

    @property
    def damage(self) -> str | None:
        """Return what is not finite, counted; None if that is nothing, or the infinities of a mask."""
        nans = int(np.isnan(self.values).sum())
        infinities = int(np.isinf(self.values).sum())
        if not nans and not (infinities and self.is_weight):
            return None
        counts = [f"{count:,} {what}" for count, what in ((nans, "NaN"), (infinities, "infinities")) if count]
        return f"{self.name} ({', '.join(counts)} of {self.values.size:,})"

    @property
    def is_mask(self) -> bool:
        return not self.is_weight and bool(np.isinf(self.values).any()) and not np.isnan(self.values).any()

    @property
    def is_huge(self) -> bool:
        return self.is_weight and bool(np.isfinite(self.values).all() and np.abs(self.values).max(initial=0.0) >= _HUGE)


def examine_weights(model: ModelProto) -> Examination:
    """Return whether every weight is a finite number of a size that training leaves.

    Infinities of constants that no layer multiplies with (a mask that is added before a Softmax, bounds of a Clip) are
    meant to be there. What an infinity or NaN in a layer's weights comes from is not known: the file tells nothing.
    """
    constants = list(_constants(model.graph, {}))
    damaged = [stored for stored in constants if stored.damage is not None]
    if damaged:
        of_layers = any(stored.is_weight for stored in damaged)
        return wrong(
            _NAME,
            f"not finite in {len(damaged):,} {'tensor' if len(damaged) == 1 else 'tensors'}",
            Finding(
                check=_NAME,
                what="Weights of the model's layers are not finite numbers."
                if of_layers
                else "Constants of the model are NaN.",
                sure="certain" if of_layers else "likely",
                evidence="not finite: " + "; ".join(str(stored.damage) for stored in damaged[:5]) + _more(damaged),
                advice="Fetch the file again, or export the model again. Where what it was exported from has them "
                "too, this tool cannot repair them.",
            ),
        )
    huge = [stored for stored in constants if stored.is_huge]
    notes = []
    if huge:
        sizes = (f"{stored.name} (up to {np.abs(stored.values).max():.1e})" for stored in huge[:5])
        notes.append(
            Finding(
                check=_NAME,
                severity="note",
                what="Some weights are larger than training produces.",
                sure="likely",
                evidence="; ".join(sizes) + _more(huge),
                advice="Compare the file with what it was exported from: int8 leaves nothing of the smaller ones "
                "beside them.",
            )
        )
    masks = [stored.name for stored in constants if stored.is_mask]
    text = "all finite" if not masks else f"all finite, but for infinities of a mask or bound: {', '.join(masks[:5])}"
    return right(_NAME, text + (_more(masks) if masks else ""), *notes)


def is_damaged(examination: Examination) -> bool:
    """Return whether weights of layers are not finite, so that nothing of the model can be tried."""
    return any(finding.severity == "problem" and finding.sure == "certain" for finding in examination.findings)


def _more(listed: Sequence[object]) -> str:
    return f"; {len(listed) - 5:,} more" if len(listed) > 5 else ""


def _constants(graph: GraphProto, outer: dict[str, TensorProto]) -> Iterator[_Stored]:
    """Yield the constants of floats that nodes of a graph, or of the graphs inside it, read."""
    tensors = dict(outer)
    tensors.update((tensor.name, tensor) for tensor in graph.initializer)
    for node in graph.node:
        tensor = constant_value(node) if is_op(node, "Constant") and node.attribute else None
        if tensor is not None:
            tensors[tensor.name] = tensor
    uses: dict[str, bool] = {}
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name in tensors:
                uses[name] = uses.get(name, False) or _multiplies(node, at)
    for name, is_weight in uses.items():
        if tensors[name].data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
            yield _Stored(name, numpy_helper.to_array(tensors[name]), is_weight)
    for node in graph.node:
        for inner in subgraphs(node):
            yield from _constants(inner, tensors)


def _multiplies(node: NodeProto, at: int) -> bool:
    """Return whether an input of a node is a layer's weights, bias or parameters."""
    return is_op(node, *WEIGHTED) or (at > 0 and is_op(node, *_NORMALIZATIONS))
