"""Which operators the installed onnxruntime has CPU kernels for, asked by opening a session of one node."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, helper

from quantize.errors import ModelError
from quantize.graph.nodes import DEFAULT_DOMAIN, DEFAULT_DOMAINS, take_attribute
from quantize.graph.view import Graph
from quantize.models.session import open_session

_IR_VERSION = 10


def has_kernel(
    graph: Graph,
    op_type: str,
    inputs: Sequence[str],
    types: dict[str, int],
    *,
    outputs: int = 1,
    domain: str = DEFAULT_DOMAIN,
    **attributes: Any,
) -> bool:
    """Return whether this onnxruntime opens a node of this type, with these inputs and attributes.

    Args:
        graph: Holds the constants among the inputs.
        op_type: The operator.
        inputs: Names of its inputs, "" for one that is left out.
        types: ONNX's numbers of the element types of the inputs that are not constant; int64 where one is not given.
        outputs: How many outputs it has.
        domain: Of the operator.
        attributes: As the node will have them; None for one that it will not have.
    """
    kinds = []
    for name in inputs:
        constant = graph.tensor(name) if name else None
        kinds.append(0 if not name else types.get(name, TensorProto.INT64) if constant is None else constant.data_type)
    kept = {key: value for key, value in attributes.items() if value is not None}
    node = helper.make_node(
        op_type,
        [f"x{at}" if kind else "" for at, kind in enumerate(kinds)],
        [f"y{at}" for at in range(outputs)],
        domain=domain,
        **kept,
    )
    take_attribute(node, "group")  # decides no kernel
    return _opens(node.SerializeToString(deterministic=True), tuple(kinds), graph.opset)


@cache
def _opens(serialized: bytes, kinds: tuple[int, ...], opset: int) -> bool:
    node = NodeProto.FromString(serialized)
    inputs = [helper.make_tensor_value_info(f"x{at}", kind, None) for at, kind in enumerate(kinds) if kind]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    imports = [helper.make_opsetid(DEFAULT_DOMAIN, opset)]
    if node.domain not in DEFAULT_DOMAINS:
        imports.append(helper.make_opsetid(node.domain, 1))
    graph = helper.make_graph([node], "kernel", inputs, outputs)
    model: ModelProto = helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION)
    try:
        open_session(model.SerializeToString(), optimization="none")
    except ModelError:
        return False
    return True
