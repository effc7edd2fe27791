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


def test_types_of_eight_bits_have_names() -> None:
    tensor = helper.make_tensor("w", TensorProto.FLOAT8E4M3FN, [4], bytes(4), raw=True)
    assert weight_types(_model(tensor)) == ("fp8",)


def test_weights_that_share_a_byte_are_counted_one_by_one() -> None:
    model = _model(
        numpy_helper.from_array(np.zeros((8, 1, 16), np.uint8), "w"),
        numpy_helper.from_array(np.zeros(200, np.float32), "other"),
    )
    attributes = {"K": 32, "N": 8, "block_size": 32}
    for bits, found in ((4, ("int4", "fp32")), (2, ("int2", "fp32")), (8, ("fp32", "int8"))):
        del model.graph.node[:]
        node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", bits=bits, **attributes)
        model.graph.node.append(node)
        assert weight_types(model) == found


def test_weights_in_the_body_of_a_node_count() -> None:
    body = helper.make_graph([], "body", [], [], [numpy_helper.from_array(np.zeros(4, np.float16), "w")])
    model = _model()
    model.graph.node.append(helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body))
    assert weight_types(model) == ("fp16",)


def test_constants_of_nodes_count() -> None:
    model = _model()
    value = numpy_helper.from_array(np.zeros(4, np.float16))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))
    assert weight_types(model) == ("fp16",)
