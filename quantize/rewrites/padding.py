"""The padding of a Conv or pool in numbers, whatever way the node states it."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from quantize.graph.nodes import attribute


def explicit_pads(node: NodeProto, sizes: Sequence[int], kernel: Sequence[int]) -> list[int] | None:
    """Return the pads of a node as ``[before of each axis, after of each axis]`` (ONNX operator text of Conv).

    Args:
        node: With attribute ``pads`` or ``auto_pad``, or neither.
        sizes: The input's spatial sizes.
        kernel: The kernel's sizes.

    Returns:
        The pads; None where ``auto_pad`` meets a kernel so small that it would cut (runtimes disagree there).
    """
    auto = attribute(node, "auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        return list(attribute(node, "pads", [0] * 2 * len(sizes)))
    if auto == "VALID":
        return [0] * 2 * len(sizes)
    strides = attribute(node, "strides", [1] * len(sizes))
    dilations = attribute(node, "dilations", [1] * len(sizes))
    before, after = [], []
    for size, length, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        reach = (length - 1) * dilation + 1
        total = (-(-size // stride) - 1) * stride + reach - size
        if total < 0:
            return None
        smaller, larger = total // 2, total - total // 2
        before.append(smaller if auto == "SAME_UPPER" else larger)
        after.append(larger if auto == "SAME_UPPER" else smaller)
    return before + after
