"""A graph and the graphs inside its nodes, each with the sizes of its tensors at given sizes of the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, ValueInfoProto

from quantize.graph.nodes import is_op, reads
from quantize.graph.shapes import declared_shape, fixed_sizes, inferred_graph


@dataclass(frozen=True, eq=False)
class Scope:
    """A graph with what is known of the tensors that its nodes read and make.

    Attributes:
        graph: The graph.
        sizes: Sizes by tensor, of constants too; those that are not known are left out.
    """

    graph: GraphProto
    sizes: Mapping[str, tuple[int, ...]]
    _model: ModelProto
    _values: Mapping[str, ValueInfoProto]
    _constants: Mapping[str, TensorProto]

    @staticmethod
    def of(model: ModelProto, inputs: Mapping[str, Sequence[int]]) -> Scope:
        """Return the main graph of a model.

        Args:
            model: Any model without functions.
            inputs: By input, the sizes to compute with.
        """
        return _scope(model, inputs, {}, {})

    def knowing(self, sizes: Mapping[str, tuple[int, ...]]) -> Scope:
        """Return the graph with the sizes of further tensors, for the graphs inside it too."""
        values = dict(self._values)
        for name in sizes.keys() & values.keys():
            value = ValueInfoProto()
            value.CopyFrom(values[name])
            value.type.tensor_type.shape.CopyFrom(
                TensorShapeProto(dim=[TensorShapeProto.Dimension(dim_value=size) for size in sizes[name]])
            )
            values[name] = value
        return Scope(self.graph, {**self.sizes, **sizes}, self._model, values, self._constants)

    def bodies(self, node: NodeProto) -> Iterator[tuple[str, Scope]]:
        """Yield the graphs inside a node with the names of their attributes.

        What a Loop or Scan hands from turn to turn has the sizes of the first turn.
        """
        for entry in node.attribute:
            if entry.HasField("g"):
                yield entry.name, self._body(node, entry.g)

    def _body(self, node: NodeProto, body: GraphProto) -> Scope:
        model = ModelProto(ir_version=self._model.ir_version)
        model.opset_import.extend(self._model.opset_import)
        model.graph.CopyFrom(body)
        given = {}
        for value, source in zip(body.input, _given(node, len(body.input)), strict=False):
            if source in self.sizes:
                given[value.name] = self.sizes[source][1:] if _is_sliced(node, body, value) else self.sizes[source]
        made = {value.name for value in body.input} | {name for own in body.node for name in own.output}
        constants = {tensor.name: tensor for tensor in body.initializer}
        for name in dict.fromkeys(name for own in body.node for name in reads(own)):
            if name in made or name in constants:
                continue
            if name in self._constants:
                model.graph.initializer.append(self._constants[name])
            elif name in self._values:
                model.graph.input.append(self._values[name])
        return _scope(model, given, self._values, self._constants)


def _scope(
    model: ModelProto,
    inputs: Mapping[str, Sequence[int]],
    values: Mapping[str, ValueInfoProto],
    constants: Mapping[str, TensorProto],
) -> Scope:
    inferred = inferred_graph(model, inputs)
    graph = model.graph
    constants = {**constants, **{tensor.name: tensor for tensor in graph.initializer}}
    values = {**values, **{value.name: value for value in (*inferred.input, *inferred.value_info, *inferred.output)}}
    known = {name: fixed_sizes(declared_shape(value)) for name, value in values.items()}
    sizes = {name: of_value for name, of_value in known.items() if of_value is not None}
    return Scope(graph, {**sizes, **{name: tuple(t.dims) for name, t in constants.items()}}, model, values, constants)


def _given(node: NodeProto, count: int) -> list[str]:
    """Return the outer tensors whose sizes the inputs of a node's body have, "" where there is none."""
    if is_op(node, "Loop"):  # the turn's number and the condition come first
        return ["", "", *node.input[2:]]
    return list(node.input)[-count:] if is_op(node, "Scan") and count else []


def _is_sliced(node: NodeProto, body: GraphProto, value: ValueInfoProto) -> bool:
    if not is_op(node, "Scan"):
        return False
    scanned = int(next((entry.i for entry in node.attribute if entry.name == "num_scan_inputs"), 0))
    return value.name in [scan.name for scan in list(body.input)[len(body.input) - scanned :]]


def image_sizes(model: ModelProto, image: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Return the sizes of a model's inputs for one image, or for the batch that it insists on.

    Args:
        model: Any model.
        image: Height and width where the model does not say them.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    found = {}
    for value in model.graph.input:
        shape = declared_shape(value)
        if shape is None or value.name in weights:
            continue
        channels_last = len(shape) == 4 and isinstance(shape[3], int) and not isinstance(shape[1], int)
        sides = (1, 2) if channels_last else (2, 3)
        usual = dict(zip(sides, image, strict=True)) if len(shape) == 4 else {}
        found[value.name] = tuple(size if isinstance(size, int) else usual.get(at, 1) for at, size in enumerate(shape))
    return found
