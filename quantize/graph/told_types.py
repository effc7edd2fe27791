"""Types of tensors that onnx's inference does not know: onnxruntime, which has to know every one, is asked for them.

Such as behind a GroupNormalization of any batch, which onnx defines by a function, or an operator of onnxruntime's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnxruntime
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

_FATAL = 4
_ELEMENTS = {f"tensor({name.lower()})": value for name, value in TensorProto.DataType.items()}


def told_types(model: ModelProto, untyped: Sequence[str]) -> list[ValueInfoProto]:
    """Return the types of tensors between a model's nodes, and their shapes where they have one.

    Args:
        model: Any model; weights may be declared as inputs.
        untyped: Outputs of its nodes. What is no tensor, or in a model that onnxruntime does not open, is left out.
    """
    if not untyped:
        return []
    exposed = ModelProto()
    exposed.CopyFrom(model)
    own = {value.name for value in model.graph.output}
    exposed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in untyped if name not in own)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = _FATAL, 1
    try:
        session = onnxruntime.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - onnxruntime raises several kinds; whoever runs the model meets it again
        return []
    told = {value.name: _declared(value.name, value.type, value.shape) for value in session.get_outputs()}
    return [value for name in untyped if (value := told.get(name)) is not None]


def _declared(name: str, kind: str, shape: Sequence[int | str | None]) -> ValueInfoProto | None:
    # Without dimensions, it is either a single number or of an unknown rank.
    element = _ELEMENTS.get(kind)
    return None if element is None else helper.make_tensor_value_info(name, element, list(shape) or None)
