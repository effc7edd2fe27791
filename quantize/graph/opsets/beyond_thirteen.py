"""Opsets 14 and newer: the other reductions' axes, the sizes of a Split, and renamed modes."""

from __future__ import annotations

from onnx import NodeProto

from quantize.graph.nodes import attribute
from quantize.graph.opsets.step import Adapter, Step, attribute_to_input, refuse, set_attribute

_REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"]
_GRID_MODES = {"bilinear": "linear", "bicubic": "cubic"}


def split_count(node: NodeProto, step: Step) -> None:  # noqa: ARG001
    """Opset 18: a Split without sizes says into how many parts."""
    if len(node.input) < 2 or not node.input[1]:
        set_attribute(node, "num_outputs", len(node.output))


def grid_mode(node: NodeProto, step: Step) -> None:  # noqa: ARG001
    """Opset 20: the modes of GridSample have the names of any number of dimensions."""
    mode = attribute(node, "mode", "bilinear")
    set_attribute(node, "mode", _GRID_MODES.get(mode, mode))


ADAPTERS: dict[int, dict[str, Adapter]] = {
    18: {**{f"Reduce{name}": attribute_to_input("axes", 1) for name in _REDUCTIONS}, "Split": split_count},
    20: {"DFT": refuse("a DFT of an opset before 20"), "GridSample": grid_mode},
    21: {"GroupNormalization": refuse("a GroupNormalization of an opset before 21")},
}
