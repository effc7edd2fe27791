from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.models.weight_types import weight_types


def _model(*tensors: TensorProto) -> ModelProto:
    return helper.make_model(helper.make_graph([], "g", [], [], tensors))


@pytest.mark.parametrize(
    ("dtype", "name"), [(np.float32, "fp32"), (np.float16, "fp16"), (np.float64, "fp64"), (np.uint8, "int8")]
)
def test_weights_have_the_name_of_their_type(dtype: type, name: str) -> None:
    assert weight_types(_model(numpy_helper.from_array(np.zeros(4, dtype), "w"))) == (name,)


def test_the_type_of_most_values_comes_first_and_shapes_are_no_weights() -> None:
    packed = helper.make_tensor("w", TensorProto.INT4, [4, 4], bytes(8), raw=True)
    scale = numpy_helper.from_array(np.ones(4, np.float32), "s")
    shape = numpy_helper.from_array(np.zeros(99, np.int64), "shape")
    assert weight_types(_model(scale, packed, shape)) == ("int4", "fp32")


def test_constants_of_nodes_count() -> None:
    model = _model()
    value = numpy_helper.from_array(np.zeros(4, np.float16))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))
    assert weight_types(model) == ("fp16",)
