from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from quantize.graph.shapes import inferred_shapes, inferred_types, with_told_types
from tests.graph.small_models import model_of


@pytest.mark.parametrize("op_type", ["QuickGelu", "Gelu"])
def test_shapes_are_known_behind_operators_of_onnxruntimes_own_that_keep_them(op_type: str) -> None:
    nodes = [
        helper.make_node(op_type, ["x"], ["a"], domain="com.microsoft"),
        helper.make_node("Transpose", ["a"], ["y"], perm=[0, 2, 3, 1]),
    ]
    assert inferred_shapes(model_of(nodes, {}))["y"] == (2, 6, 6, 3)


def test_shapes_are_inferred_though_a_new_nodes_domain_is_not_declared_yet() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]),
        helper.make_node("Unheard", ["a"], ["y"], domain="com.microsoft"),
    ]
    assert inferred_shapes(model_of(nodes, {}))["a"] == (2, 6, 6, 3)


def test_types_that_onnx_does_not_infer_are_those_that_onnxruntime_tells() -> None:
    nodes = [
        helper.make_node("FusedMatMul", ["x", "x"], ["a"], domain="com.microsoft", transB=1),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
    ]
    model = model_of(nodes, {})
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert [inferred_types(model)[name].tensor_type.elem_type for name in "ab"] == [TensorProto.FLOAT] * 2
    declared = with_told_types(model)
    assert [value.name for value in declared.graph.value_info] == ["a", "b"]
    assert with_told_types(declared) is declared


def test_behind_what_onnxruntime_does_not_know_either_no_type_is_made_up() -> None:
    nodes = [helper.make_node("Unheard", ["x"], ["a"], domain="mine"), helper.make_node("Relu", ["a"], ["y"])]
    model = model_of(nodes, {})
    model.opset_import.append(helper.make_opsetid("mine", 1))
    assert "a" not in inferred_types(model)
    assert with_told_types(model) is model
