"""Forms that mean the same become the one that quantizers know, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from quantize.graph.plain_forms import drop_empty_pieces, merge_activations, pad_ahead_of_pools, pad_every_axis
from tests.graph.small_models import after, model_of, operators, run


def _clip(source: str, result: str, low: str, high: str) -> Any:
    return helper.make_node("Clip", [source, low, high], [result])


BOUNDS = {name: np.float32(value) for name, value in {"m1": -1, "zero": 0, "half": 0.5, "one": 1, "six": 6}.items()}
PAIRS = {
    "Relu6 then Relu": ([_clip("x", "a", "zero", "six"), helper.make_node("Relu", ["a"], ["y"])], ["Clip"]),
    "Relu twice": ([helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])], ["Relu"]),
    "Relu then Relu6": ([helper.make_node("Relu", ["x"], ["a"]), _clip("a", "y", "zero", "six")], ["Clip"]),
    "the wider first": ([_clip("x", "a", "m1", "six"), _clip("a", "y", "half", "one")], ["Clip"]),
    "apart": ([_clip("x", "a", "one", "six"), _clip("a", "y", "m1", "half")], ["Clip"]),
    "one bound each": ([_clip("x", "a", "m1", ""), _clip("a", "y", "", "half")], ["Clip"]),
    "three": (
        [helper.make_node("Relu", ["x"], ["a"]), _clip("a", "b", "m1", "one"), helper.make_node("Relu", ["b"], ["y"])],
        ["Clip"],
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_activations_in_a_row_become_one(case: str) -> None:
    nodes, expected = PAIRS[case]
    model = model_of(nodes, {name: np.asarray(value) for name, value in BOUNDS.items()})
    merged = after(merge_activations, model)
    assert operators(merged) == expected
    np.testing.assert_array_equal(run(merged)[0], run(model)[0])


def test_an_activation_that_something_else_reads_stays() -> None:
    nodes = [
        _clip("x", "a", "m1", "one"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    model = model_of(nodes, {name: np.asarray(value) for name, value in BOUNDS.items()})
    assert operators(after(merge_activations, model)) == ["Clip", "Relu", "Add"]


def test_empty_pieces_of_a_concat_go_and_with_them_one_that_joins_nothing() -> None:
    nodes = [
        helper.make_node("Concat", ["x", "empty"], ["a"], axis=1),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Concat", ["b", "empty", "b"], ["y"], axis=1),
    ]
    model = model_of(nodes, {"empty": np.zeros((2, 0, 6, 6), np.float32)})
    dropped = after(drop_empty_pieces, model)
    assert operators(dropped) == ["Relu", "Concat"]
    assert not dropped.graph.initializer
    np.testing.assert_array_equal(run(dropped)[0], run(model)[0])


def test_a_pad_of_some_axes_is_spelled_out_for_every_one() -> None:
    nodes = [helper.make_node("Pad", ["x", "amounts", "", "axes"], ["y"], mode="reflect")]
    model = model_of(nodes, {"amounts": np.array([1, 2, 3, 0]), "axes": np.array([-1, 2])})
    model.opset_import[0].version = 18
    spelled = after(pad_every_axis, model)
    assert len(spelled.graph.node[0].input) == 3
    np.testing.assert_array_equal(run(spelled)[0], run(model)[0])


@pytest.mark.parametrize("attributes", [{}, {"pads": [1, 1, 1, 1]}, {"pads": [1, 0, 0, 1], "kernel_shape": [4, 4]}])
def test_padding_that_a_pool_counts_stands_ahead_of_it_where_windows_may_reach_beyond(attributes: Any) -> None:
    given = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "count_include_pad": 1, **attributes}
    model = model_of([helper.make_node("AveragePool", ["x"], ["y"], **given)], {})
    ahead = after(pad_ahead_of_pools, model)
    assert operators(ahead) == (["Pad", "AveragePool"] if attributes else ["AveragePool"])
    assert not any(entry.name == "count_include_pad" for entry in ahead.graph.node[-1].attribute)
    np.testing.assert_allclose(run(ahead)[0], run(model)[0], rtol=1e-6, atol=1e-6)


def test_a_pool_whose_window_may_begin_in_its_padding_keeps_it() -> None:
    given = {"kernel_shape": [3, 3], "strides": [3, 3], "ceil_mode": 1, "count_include_pad": 1, "pads": [1, 1, 1, 1]}
    model = model_of([helper.make_node("AveragePool", ["x"], ["y"], **given)], {})
    assert after(pad_ahead_of_pools, model).graph.node == model.graph.node
