"""The integer type of a quantized tensor, and int8 tensors rewritten as uint8 with an offset of 128."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from quantize.formats.parameters import is_dequantize, is_quantize
from quantize.graph.nodes import attribute, attributes, moves_values
from quantize.graph.view import Graph

OFFSET = 128


def integer_type(graph: Graph, name: str, zero_point: str = "") -> np.dtype[Any] | None:
    """Return the type of a quantized tensor, or None if the graph does not tell it.

    Args:
        graph: The graph in any format.
        name: The tensor.
        zero_point: Its zero point, which has the same type; "" if it has none.
    """
    for constant in (zero_point, name):
        values = graph.constant(constant) if constant else None
        if values is not None:
            return values.dtype
    maker = graph.producer(name)
    if maker is None:
        return _declared_type(graph, name)
    if maker.op_type == "DynamicQuantizeLinear":
        return np.dtype(np.uint8)
    if is_quantize(maker):
        # Without a zero point, QuantizeLinear makes uint8 (ONNX operator text).
        given = graph.constant(maker.input[2]) if len(maker.input) > 2 and maker.input[2] else np.zeros((), np.uint8)
        return None if given is None else given.dtype
    return integer_type(graph, maker.input[0]) if moves_values(maker) else None


def _declared_type(graph: Graph, name: str) -> np.dtype[Any] | None:
    for value in graph.proto.input:
        if value.name == name:
            return np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return None


class Unsigned:
    """Writes uint8 twins of int8 tensors into a graph: each once, however many nodes read it.

    Nothing that is there is changed: nodes are made to read a twin by whoever asks for it, others keep the original.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._integers: dict[str, str] = {}
        self._reals: dict[str, str] = {}
        self._zeros: dict[tuple[int, ...], str] = {}

    def integers(self, name: str) -> str:
        """Return the uint8 tensor whose every value is 128 above that of the int8 tensor ``name``."""
        if name not in self._integers:
            self._integers[name] = self._write(name)
        return self._integers[name]

    def zero_point(self, name: str, shape: Sequence[int] | None) -> str | None:
        """Return the zero point that goes with the twin of a tensor.

        Args:
            name: The zero point of the int8 tensor; "" where it has none, which means 0.
            shape: The shape that a zero point must have if there is none yet; None: not known.

        Returns:
            Its name; None if it has none and the shape is not known.
        """
        if name:
            return self.integers(name)
        if shape is None:
            return None
        key = tuple(shape)
        if key not in self._zeros:
            self._zeros[key] = self._graph.add_constant("unsigned_zero_point", np.full(key, OFFSET, np.uint8))
        return self._zeros[key]

    def reals(self, name: str) -> str | None:
        """Return a float tensor equal to ``name``, dequantized from uint8 instead of int8.

        Args:
            name: What a DequantizeLinear makes, possibly moved by further nodes.

        Returns:
            Its name; None if the zero point to write is not known.
        """
        if name not in self._reals:
            node = self._graph.producer(name)
            if node is None:
                raise ValueError(f"{name} comes from no DequantizeLinear")
            source = self._dequantized(node) if is_dequantize(node) else self._moved(node)
            if source is None:
                return None
        return self._reals[name]

    def _dequantized(self, node: NodeProto) -> str | None:
        scale = self._graph.constant(node.input[1])
        given = node.input[2] if len(node.input) > 2 else ""
        zero_point = self.zero_point(given, None if scale is None else scale.shape)
        if zero_point is None:
            return None
        inputs = [self.integers(node.input[0]), node.input[1], zero_point]
        return self._twin(node, inputs, self._reals)

    def _moved(self, node: NodeProto) -> str | None:
        source = self.reals(node.input[0])
        return None if source is None else self._twin(node, [source, *node.input[1:]], self._reals)

    def _write(self, name: str) -> str:
        graph, hint = self._graph, f"{name}_unsigned"
        values = graph.constant(name)
        if values is not None:
            return graph.add_constant(hint, (values.astype(np.int16) + OFFSET).astype(np.uint8))
        node = graph.producer(name)
        if node is not None and is_quantize(node):
            # QuantizeLinear rounds before it adds the zero point, and both types end at the same real numbers.
            return self._twin(node, [*node.input[:2], self.integers(node.input[2])], self._integers, of=name)
        if node is not None and moves_values(node):
            rest = list(node.input[1:])
            if node.op_type == "Pad" and attribute(node, "mode", "constant") == "constant":
                rest += [""] * (2 - len(rest))
                rest[1] = self.zero_point(rest[1], ()) or ""
            return self._twin(node, [self.integers(node.input[0]), *rest], self._integers, of=name)
        wide, raised, twin = (graph.fresh(f"{name}_{word}") for word in ("wide", "raised", "unsigned"))
        offset = graph.add_constant("unsigned_offset", np.array(OFFSET, np.int32))
        graph.add("Cast", [name], [wide], to=TensorProto.INT32)
        graph.add("Add", [wide, offset], [raised])
        graph.add("Cast", [raised], [twin], to=TensorProto.UINT8)
        return twin

    def _twin(self, node: NodeProto, inputs: Sequence[str], known: dict[str, str], of: str = "") -> str:
        """Add a copy of a node that reads other inputs, remember its outputs, and return that of ``of``."""
        graph = self._graph
        outputs = [graph.fresh(f"{name}_unsigned") if name else "" for name in node.output]
        kept = attributes(node, without=["output_dtype"])
        graph.add(node.op_type, inputs, outputs, name=f"{node.name}_unsigned", domain=node.domain, **kept)
        known.update((old, new) for old, new in zip(node.output, outputs, strict=True) if old)
        return known[of or node.output[0]]
