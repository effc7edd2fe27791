"""The sizes of tensors that do not follow from the graph, seen in one run of the model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from onnx import ModelProto, helper

from quantize.errors import ModelError
from quantize.models.session import RUNTIME_ERRORS, open_session

_LARGEST = 1 << 28  # elements: a gigabyte of float32
_NOT_RUN: tuple[type[Exception], ...] = (*RUNTIME_ERRORS, ModelError, KeyError, ValueError)


def run_sizes(
    model: ModelProto, inputs: Mapping[str, Sequence[int]], tensors: Iterable[str]
) -> dict[str, tuple[int, ...]]:
    """Return the sizes of tensors of the main graph in a run on zeros; nothing where it cannot be run in a gigabyte.

    Args:
        model: Any model without functions.
        inputs: The sizes of its inputs.
        tensors: Outputs of its nodes.
    """
    if sum(math.prod(sizes) for sizes in inputs.values()) > _LARGEST:
        return {}
    names = list(dict.fromkeys(tensors))
    exposed = ModelProto()
    exposed.CopyFrom(model)
    own = {value.name for value in model.graph.output}
    exposed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in own)
    weights = {tensor.name for tensor in model.graph.initializer}
    try:
        session = open_session(exposed.SerializeToString(), optimization="none")
        feeds = {
            value.name: np.zeros(inputs[value.name], helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
            for value in model.graph.input
            if value.name not in weights
        }
        results = session.run(names, feeds)
    except _NOT_RUN:
        return {}
    return {name: tuple(np.shape(result)) for name, result in zip(names, results, strict=True)}
