"""Give a model the input and output back that the user's file has: its layout and its types.

A prepared model takes float32 with the channels first and gives float32, so that no other room needs special cases;
what is written for the user takes and gives what the user's model does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from quantize.graph.channels_first import TO_FIRST, TO_LAST
from quantize.graph.nodes import is_op
from quantize.graph.view import Graph
from quantize.models.contract import Layout, ModelContract

_CONVERTED = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})


@dataclass(frozen=True)
class GivenForm:
    """The layout and the types of a file.

    Attributes:
        layout: Where the channels of its image stand.
        input: The type of its image, a number of ``TensorProto.DataType``.
        outputs: The type of each output, by name.
    """

    layout: Layout
    input: int
    outputs: Mapping[str, int]

    @classmethod
    def of(cls, model: ModelProto, contract: ModelContract) -> GivenForm:
        """Return the form of a model."""
        (image,) = (value for value in model.graph.input if value.name == contract.input.name)
        outputs = {value.name: value.type.tensor_type.elem_type for value in model.graph.output}
        return cls(contract.input_layout, image.type.tensor_type.elem_type, outputs)

    @property
    def is_plain(self) -> bool:
        """Return whether a prepared model has this form already."""
        floats = self.layout == "NCHW" and self.input == TensorProto.FLOAT
        return floats and not _CONVERTED & set(self.outputs.values())

    def applied(self, model: ModelProto, *, own_input: bool = False) -> ModelProto:
        """Return a model, float or quantized, in this form.

        Where the input is quantized, its integers are turned: a quarter of the bytes.

        Args:
            model: With a float32 input (N, C, H, W) and float32 where this form has other floats, as prepared models
                have them, with their ending.
            own_input: Whether its input is to stay as it is, as with an input contract.

        Returns:
            The model itself where nothing is to be changed.
        """
        if self.is_plain:
            return model
        graph = Graph(model)
        if not own_input and self.layout == "NHWC":
            _take_channels_last(graph)
        if not own_input and self.input != TensorProto.FLOAT:
            _take_type(graph, self.input)
        for value in graph.proto.output:
            element = self.outputs.get(value.name)
            if element is not None and element in _CONVERTED and value.type.tensor_type.elem_type == TensorProto.FLOAT:
                _give_type(graph, value, element)
        result = graph.model()
        result.graph.value_info.extend(model.graph.value_info)  # an ending declares the scores there
        return result


def _take_channels_last(graph: Graph) -> None:
    name = graph.inputs[0]
    readers = graph.consumers(name)
    quantizers = [node for node in readers if is_op(node, "QuantizeLinear") and _has_one_grid(graph, node)]
    for turned in [node.output[0] for node in quantizers] if len(quantizers) == len(readers) else [name]:
        first = graph.fresh(f"{turned}_channels_first")
        graph.replace_uses(turned, first)
        graph.add("Transpose", [turned], [first], name=f"{turned}_Transpose", perm=list(TO_FIRST))
    _set_input(graph, TO_LAST)


def _has_one_grid(graph: Graph, node: NodeProto) -> bool:
    scale = graph.constant(node.input[1])
    return scale is not None and scale.size == 1 and not graph.is_output(node.output[0])


def _take_type(graph: Graph, element: int) -> None:
    name = graph.inputs[0]
    cast = graph.fresh(f"{name}_float")
    graph.replace_uses(name, cast)
    graph.add("Cast", [name], [cast], name=f"{name}_Cast", to=TensorProto.FLOAT)
    graph.proto.input[0].type.tensor_type.elem_type = element


def _give_type(graph: Graph, value: ValueInfoProto, element: int) -> None:
    name = value.name
    made_by = graph.producer(name)
    assert made_by is not None
    floats = graph.fresh(f"{name}_float")
    graph.set_output(made_by, list(made_by.output).index(name), floats)
    graph.replace_uses(name, floats)
    graph.add("Cast", [floats], [name], name=f"{name}_Cast", to=element)
    value.type.tensor_type.elem_type = element


def _set_input(graph: Graph, order: tuple[int, ...]) -> None:
    value = graph.proto.input[0]
    dims = value.type.tensor_type.shape.dim
    shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in dims]
    value.CopyFrom(
        helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, [shape[at] for at in order])
    )
