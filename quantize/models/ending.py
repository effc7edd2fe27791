"""What a classifier's file gives beyond its scores: cut off before anything is quantized, and put back at the end.

Between the two, the first output of a model is its scores, and what is computed from them (ArgMax, TopK, a Softmax
behind the logits that are asked for) does not exist for any other room. Other outputs stay outputs all the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from quantize.graph.nodes import attributes, reads, replace_all
from quantize.graph.opsets.lowering import lower_to_12
from quantize.graph.shapes import inferred_types
from quantize.graph.view import Graph
from quantize.models.contract import ModelContract
from quantize.models.score_tensor import SCORE_OUTPUT, say


@dataclass(frozen=True, eq=False)
class Ending:
    """The outputs of a file, and what computes them from its scores.

    Attributes:
        part: The nodes behind the scores, with the constants that they read; its inputs are tensors of the model.
        outputs: The file's outputs, in order.
    """

    part: ModelProto
    outputs: tuple[ValueInfoProto, ...]

    def attached(self, model: ModelProto) -> ModelProto:
        """Return a copy of a model whose first outputs are its scores with the file's own outputs.

        Args:
            model: Made from the model that the ending was cut off; of its opset, or of opset 12.

        Raises:
            ModelError: A node of the ending has no form at opset 12.
        """
        graph, part = Graph(model), Graph(self.part)
        if graph.opset < part.opset:
            lower_to_12(part)
        for name in part.constants:
            constant = part.constant(name)
            assert constant is not None
            own = graph.add_constant(name, constant)  # an engine or a rewrite may have taken the name
            part.replace_uses(name, own)
        for node in part.nodes:
            graph.add(
                node.op_type,
                list(node.input),
                list(node.output),
                name=node.name,
                domain=node.domain,
                **attributes(node),
            )
        replace_all(graph.proto.output, list(self.outputs))
        result = graph.model()
        scores = model.graph.output[0]
        if all(value.name != scores.name for value in self.outputs):
            # Shapes cannot be inferred through every operator of onnxruntime's own.
            result.graph.value_info.append(scores)
        return result


def exposed(model: ModelProto, contract: ModelContract) -> ModelProto:
    """Return a copy of a model whose first output is its scores; its own outputs follow.

    Where other outputs could be the scores, the copy's metadata say which one is.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    name = contract.output.name
    scores = next((value for value in copy.graph.output if value.name == name), None)
    if scores is None:
        element = helper.np_dtype_to_tensor_dtype(np.dtype(contract.output.dtype))
        scores = helper.make_tensor_value_info(name, element, contract.output.shape)
    replace_all(copy.graph.output, [scores, *(value for value in model.graph.output if value.name != name)])
    if len(copy.graph.output) > 1:
        say(copy, SCORE_OUTPUT, name)
    return copy


def cut(model: ModelProto, outputs: tuple[str, ...]) -> tuple[ModelProto, Ending | None]:
    """Return a model without what is computed from its scores, and that.

    Args:
        model: Its first output is its scores.
        outputs: Names of the outputs that its file has, in order.

    Returns:
        The model, whose further outputs do not depend on the scores, and the ending; None: its scores are all that
        the file gives.
    """
    scores = model.graph.output[0].name
    if outputs == (scores,):
        return model, None
    declared = {value.name: value for value in model.graph.output}
    graph = Graph(model)
    behind = _behind(graph, scores)
    made = {name for node in behind for name in node.output}
    linked = dict.fromkeys(
        name
        for node in behind
        for name in reads(node)
        if name not in made and name != scores and graph.producer(name) is not None
    )
    kept = [name for name in outputs if name not in made and name != scores]
    types = inferred_types(model) if linked else {}
    links = [helper.make_value_info(name, types[name]) for name in linked if name in types and name not in kept]
    part = _part(graph, behind)
    graph.remove(behind)
    replace_all(graph.proto.output, [declared[scores], *(declared[name] for name in kept), *links])
    return graph.model(), Ending(part, tuple(declared[name] for name in outputs))


def _behind(graph: Graph, scores: str) -> list[NodeProto]:
    """Return the nodes that depend on a tensor, in order."""
    made = {scores}
    behind = []
    for node in graph.sorted_nodes():
        if any(name in made for name in reads(node)):
            made.update(node.output)
            behind.append(node)
    return behind


def _part(graph: Graph, nodes: list[NodeProto]) -> ModelProto:
    made = {name for node in nodes for name in node.output}
    read = dict.fromkeys(name for node in nodes for name in reads(node))
    constants = [tensor for name in read if (tensor := graph.tensor(name)) is not None]
    known = {tensor.name for tensor in constants} | made
    types = inferred_types(graph.model())
    inputs = [
        helper.make_value_info(name, types[name]) if name in types else helper.make_empty_tensor_value_info(name)
        for name in read
        if name not in known
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for node in nodes for name in node.output if name]
    model = graph.model()
    part = helper.make_graph(nodes, "ending", inputs, outputs, constants)
    return helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
