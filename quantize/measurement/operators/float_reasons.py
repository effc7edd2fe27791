"""Why a node of a quantized model stayed in fp32."""

from __future__ import annotations

from onnx import ModelProto, NodeProto

from quantize.recipe import Recipe

_DEQUANTIZE = "DequantizeLinear"
_QUANTIZE = "QuantizeLinear"


def float_reason(candidate: ModelProto, origin: str | None, op_type: str, recipe: Recipe | None) -> str:
    """Return the reason in a few words.

    Args:
        candidate: The quantized model as it was saved.
        origin: Name of the fp32 model's node, where it is known.
        op_type: Its operator there.
        recipe: What the model was made by, if known.
    """
    if recipe is not None and (origin in recipe.float_nodes or op_type in recipe.float_op_types):
        return "kept by the recipe"
    node = next((node for node in candidate.graph.node if node.name == origin), None)
    if node is None or node.op_type != op_type:
        return "not quantized"
    producers = {output: other.op_type for other in candidate.graph.node for output in other.output}
    weights = {tensor.name for tensor in candidate.graph.initializer}
    data = [name for name in node.input if name and name not in weights]
    quantized = [producers.get(name) == _DEQUANTIZE for name in data]
    after = _readers(candidate, node)
    leaves = bool(after) and all(reader == _QUANTIZE for reader in after)
    if all(quantized) and leaves:
        return "no int8 kernel: runs between DQ and Q"
    if quantized and quantized[0] and not leaves:
        return "result not quantized"
    if any(quantized) and not quantized[0]:
        return "only weights quantized"
    return "not quantized"


def _readers(model: ModelProto, node: NodeProto) -> list[str]:
    return [other.op_type for other in model.graph.node if set(node.output) & set(other.input)]
