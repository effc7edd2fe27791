"""Where the inputs of a layer's weights lie in its input tensor."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from quantize.calibration.moment_pass import LARGEST, Window
from quantize.engines.native.builder.layers import layers


def windows(model: onnx.ModelProto) -> Iterator[Window]:
    """Yield the window of every layer whose second moments can be collected.

    Left out are layers with too many inputs for a matrix of their products, and Convs that are not two-dimensional
    or whose padding depends on the image's size.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    for layer in layers(model):
        dims = list(constants[layer.weight].dims)
        node = nodes[layer.node]
        if layer.op_type != "Conv":
            if len(dims) == 2 and dims[1 - layer.channel_axis] <= LARGEST:
                yield Window(node=layer.node, input=layer.input, group=1, kernel=None)
            continue
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        if len(dims) != 4 or dims[1] * dims[2] * dims[3] > LARGEST:
            continue
        if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            continue
        yield Window(
            node=layer.node,
            input=layer.input,
            group=layer.group,
            kernel=(dims[2], dims[3]),
            strides=tuple(attributes.get("strides", (1, 1))),
            pads=tuple(attributes.get("pads", (0, 0, 0, 0))),
            dilations=tuple(attributes.get("dilations", (1, 1))),
        )
