from __future__ import annotations

import pytest
from onnx import helper

from quantize.graph.shapes import inferred_shapes
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
