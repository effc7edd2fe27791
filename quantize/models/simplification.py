"""The steps that make a classifier's graph plain, in their order."""

from __future__ import annotations

import onnx.defs
from onnx import ModelProto, helper

from quantize.errors import ModelError
from quantize.graph.bodies import read_through_identity
from quantize.graph.branches import store_known_sizes, take_known_branches
from quantize.graph.channels_first import cancel_transposes, take_channels_first
from quantize.graph.cleaning import (
    drop_idle_casts,
    name_nodes,
    remove_dead_code,
    remove_pass_through,
    rename_sums,
)
from quantize.graph.folding import fold_affine, merge_padding
from quantize.graph.forward_folding import fold_forward
from quantize.graph.nodes import DEFAULT_DOMAIN, all_nodes, is_op
from quantize.graph.opsets.raising import raise_graph
from quantize.graph.plain_forms import drop_empty_pieces, merge_activations, pad_ahead_of_pools, pad_every_axis
from quantize.graph.plain_gemms import plain_gemms
from quantize.graph.product_folding import fold_into_products
from quantize.graph.shapes import inferred_types
from quantize.graph.view import Graph
from quantize.models.contract import model_contract
from quantize.models.folding import fold_constants
from quantize.models.versions import known_opset


def view(model: ModelProto) -> Graph:
    """Return a model's graph as preparation edits it."""
    return Graph(model, numbers_from=2)


def simplified(model: ModelProto, opset: int, where: str, *, fold: bool = True) -> ModelProto:
    """Return a model with nothing in it that another form of the same network says more simply.

    Args:
        model: The source, its weights as initializers only, without functions.
        opset: Lowest opset of the result.
        where: The file, for messages.
        fold: Whether layers take in the sums and products by channel beside them. float32 then rounds elsewhere, which
            shows where large numbers cancel out.

    Raises:
        ModelError: It has operators that the installed onnx does not know, or cannot be raised to the opset.
    """
    graph = view(model)
    _refuse_unknown(graph, where)
    graph.opset = known_opset(graph.opset)
    raise_graph(graph, opset, where=where)
    rename_sums(graph)
    if any(is_op(node, "Cast") for node in graph.nodes):
        drop_idle_casts(graph, inferred_types(model))
    fold_constants(graph)
    while store_known_sizes(graph):
        fold_constants(graph)
    if take_known_branches(graph):
        fold_constants(graph)
    remove_pass_through(graph)
    remove_dead_code(graph)
    drop_empty_pieces(graph)
    merge_activations(graph)
    pad_every_axis(graph)
    pad_ahead_of_pools(graph)
    contract = model_contract(model)
    if contract.input_layout == "NHWC":
        take_channels_first(graph)
    graph.proto.input[0].type.tensor_type.shape.dim[1].dim_value = contract.channels
    graph = cancel_transposes(graph)
    merge_padding(graph)
    if fold:
        fold_affine(graph)
        fold_forward(graph)
    plain_gemms(graph)
    if fold:
        fold_into_products(graph)
    plain = finished(graph)
    del graph  # one copy of the weights less while the next is made
    graph, types = view(plain), inferred_types(plain)
    del plain
    read_through_identity(graph, types)
    return finished(graph)


def finished(graph: Graph) -> ModelProto:
    """Return the edited model without dead nodes, every node with a name, its IR as old as its opset allows."""
    remove_dead_code(graph)
    name_nodes(graph.nodes)
    model = graph.model()
    model.ir_version = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    return model


def _refuse_unknown(graph: Graph, where: str) -> None:
    """Refuse operators of an opset that is newer than the installed onnx knows, where it knows no earlier form."""
    if graph.opset <= known_opset(graph.opset):
        return
    for node in all_nodes(graph.model().graph):
        if is_op(node, node.op_type) and not onnx.defs.has(node.op_type, DEFAULT_DOMAIN):
            raise ModelError(
                "the model has an operator that is newer than the installed onnx knows",
                where=where,
                found=f"{node.op_type} of opset {graph.opset}",
                expected=f"operators up to opset {known_opset(graph.opset)}",
                advice="export the model with a lower opset, such as 17",
            )
