"""Operators that change nothing at inference: Identity, Dropout, a Pad by nothing; and Sum as a name for Add."""

from __future__ import annotations

from onnx import ModelProto, NodeProto

from quantize.graph.nodes import is_op
from quantize.graph.wiring import Wiring


def remove_pass_through(model: ModelProto) -> None:
    """Take Identity, Dropout and Pad by nothing out of the graph's way. Changes the model in place.

    A Dropout whose mask is read stays, as does a node between an input and an output of the graph. The names of the
    graph's inputs and outputs do not change. The nodes themselves are then dead code.
    """
    wiring = Wiring(model.graph)
    for node in wiring.nodes:
        if is_op(node, "Identity") or _is_unread_dropout(node, wiring) or _pads_nothing(node, wiring):
            wiring.bypass(node)


def rename_sums(model: ModelProto) -> None:
    """Let Sum of two tensors be Add, the same operator under the name that quantizers know. In place."""
    for node in model.graph.node:
        if is_op(node, "Sum") and len(node.input) == 2:
            node.op_type = "Add"


def _is_unread_dropout(node: NodeProto, wiring: Wiring) -> bool:
    return is_op(node, "Dropout") and not any(
        name in wiring.readers or name in wiring.outputs for name in node.output[1:]
    )


def _pads_nothing(node: NodeProto, wiring: Wiring) -> bool:
    """Return whether a Pad (opset 11 or newer) has constant pads that are all 0."""
    if not is_op(node, "Pad") or len(node.input) < 2:
        return False
    pads = wiring.array(node.input[1])
    return pads is not None and not pads.any()
