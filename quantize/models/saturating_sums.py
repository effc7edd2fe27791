"""Whether onnxruntime's sums of integer products saturate on this CPU: asked of a session, not of a list of CPUs."""

from __future__ import annotations

from functools import cache

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from quantize.models.session import open_session

_COUNT = 64
_DATA, _WEIGHT = 255, 127


@cache
def sums_saturate() -> bool:
    """Return whether products of uint8 and int8 add up to something else than they should here.

    Convolutions take the kernels of matrix products, or others that add as these do.
    """
    weights = numpy_helper.from_array(np.full((_COUNT, _COUNT), _WEIGHT, np.int8), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["data", "weights"], ["sums"])],
        "sums",
        [helper.make_tensor_value_info("data", TensorProto.UINT8, [1, _COUNT])],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, [1, _COUNT])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    (sums,) = open_session(model.SerializeToString()).run(None, {"data": np.full((1, _COUNT), _DATA, np.uint8)})
    return bool((np.asarray(sums) != _COUNT * _DATA * _WEIGHT).any())
