"""What operators that multiply matrices inside them need, from the sizes of their tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import NodeProto, helper

from quantize.graph.other_products import inner_multiply_adds, multiplies_inside


def _node(op_type: str, sizes: Mapping[str, Sequence[int]], **attributes: Any) -> NodeProto:
    return helper.make_node(op_type, [name for name in sizes if name != "y"], ["y"], **attributes)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_a_product_that_is_written_as_an_einsum_counts_as_the_product(b: int, m: int, k: int, n: int) -> None:
    sizes = {"p": (b, m, k), "q": (b, k, n)}
    assert inner_multiply_adds(_node("Einsum", sizes, equation="bmk, bkn -> bmn"), sizes) == b * m * k * n


def test_an_einsum_of_one_operand_multiplies_nothing_and_an_ellipsis_is_not_counted() -> None:
    sizes = {"p": (3, 4)}
    assert inner_multiply_adds(_node("Einsum", sizes, equation="ij->ji"), sizes) == 0
    sizes = {"p": (1, 3), "q": (2, 3)}  # an axis of 1 is repeated
    assert inner_multiply_adds(_node("Einsum", sizes, equation="bi,bi->b"), sizes) == 6
    sizes = {"p": (2, 3, 7), "q": (2, 3, 7)}  # an ellipsis of as many axes as it has dots
    assert inner_multiply_adds(_node("Einsum", sizes, equation="...,...->..."), sizes) is None
    sizes = {"p": (2, 3, 4), "q": (4, 5)}
    assert inner_multiply_adds(_node("Einsum", sizes, equation="...k,kn->...n"), sizes) is None


@pytest.mark.parametrize(("op_type", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_a_recurrence_multiplies_inputs_and_states_once_a_step(op_type: str, gates: int) -> None:
    steps, batch, inputs, hidden, directions = 7, 2, 5, 3, 2
    sizes = {
        "x": (steps, batch, inputs),
        "w": (directions, gates * hidden, inputs),
        "r": (directions, gates * hidden, hidden),
    }
    counted = inner_multiply_adds(_node(op_type, sizes, hidden_size=hidden), sizes)
    assert counted == steps * batch * directions * gates * hidden * (inputs + hidden)
    assert inner_multiply_adds(_node(op_type, sizes), {"x": sizes["x"]}) is None


def test_attention_multiplies_queries_by_keys_and_weights_by_values() -> None:
    batch, heads, queries, keys, size, of_values = 2, 3, 5, 7, 4, 6
    sizes = {
        "q": (batch, heads, queries, size),
        "k": (batch, heads, keys, size),
        "v": (batch, heads, keys, of_values),
        "y": (batch, heads, queries, of_values),
    }
    scores, weighted = np.zeros((batch, heads, queries, keys)), np.zeros((batch, heads, queries, of_values))
    assert inner_multiply_adds(_node("Attention", sizes), sizes) == scores.size * size + weighted.size * keys
    packed = {  # the heads beside one another
        "q": (batch, queries, heads * size),
        "k": (batch, keys, heads * size),
        "v": (batch, keys, heads * of_values),
        "y": (batch, queries, heads * of_values),
    }
    assert inner_multiply_adds(_node("Attention", packed, q_num_heads=3, kv_num_heads=3), packed) == (
        scores.size * size + weighted.size * keys
    )
    assert inner_multiply_adds(_node("Attention", sizes), {}) is None


def test_what_cannot_be_counted_is_known_to_multiply() -> None:
    node = helper.make_node("MatMulNBits", ["x", "w"], ["y"], domain="com.microsoft")
    assert multiplies_inside(node)
    assert inner_multiply_adds(node, {"x": (1, 4)}) is None
    assert not multiplies_inside(helper.make_node("Relu", ["x"], ["y"]))
    assert not multiplies_inside(helper.make_node("Einsum", ["x"], ["y"], domain="another"))
