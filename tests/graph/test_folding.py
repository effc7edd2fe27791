from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from quantize.graph.folding import fold_affine, merge_padding
from tests.graph.small_models import WEIGHTS, after, conv, model_of, noise, operators, run

CHANNELS = 4
NORM: dict[str, NDArray[Any]] = {
    "scale": noise(3, CHANNELS),
    "shift": noise(4, CHANNELS),
    "mean": noise(5, CHANNELS),
    "var": noise(6, CHANNELS) ** 2 + np.float32(0.1),
}


def normalization(source: str, result: str) -> NodeProto:
    return helper.make_node("BatchNormalization", [source, *NORM], [result], epsilon=1e-3)


STEPS = st.sampled_from(["Mul", "Add", "Sub", "Div", "rSub", "BatchNormalization"])
SHAPES = st.sampled_from([(CHANNELS, 1, 1), (1, CHANNELS, 1, 1), (1,), (), (1, 1, 1)])


@settings(deadline=None, max_examples=40)
@given(steps=st.lists(st.tuples(STEPS, SHAPES), min_size=1, max_size=4), bias=st.booleans())
def test_any_chain_of_per_channel_steps_becomes_part_of_the_conv(
    steps: list[tuple[str, tuple[int, ...]]], bias: bool
) -> None:
    constants, nodes = dict(WEIGHTS | NORM), [conv("x", "t0", bias=bias)]
    for index, (step, shape) in enumerate(steps):
        result = "y" if index == len(steps) - 1 else f"t{index + 1}"
        if step == "BatchNormalization":
            nodes.append(normalization(f"t{index}", result))
            continue
        constants[f"c{index}"] = np.asarray(np.abs(noise(index, *shape)) + np.float32(0.5))
        inputs = [f"t{index}", f"c{index}"]
        nodes.append(helper.make_node(step.removeprefix("r"), inputs[::-1] if step == "rSub" else inputs, [result]))
    model = model_of(nodes, constants)
    folded = after(fold_affine, model)

    assert operators(folded) == ["Conv"]
    (expected,), (scores,) = run(model), run(folded)
    assert np.abs(scores - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


def test_a_norm_before_a_conv_takes_what_follows_it() -> None:
    scale = {"c": noise(7, 3).reshape(3, 1, 1), **{name: values[:3] for name, values in NORM.items()}}
    nodes = [normalization("x", "n"), helper.make_node("Mul", ["c", "n"], ["m"]), conv("m", "y")]
    model = model_of(nodes, {**WEIGHTS, **scale})
    folded = after(fold_affine, model)

    assert operators(folded) == ["BatchNormalization", "Conv"]
    np.testing.assert_allclose(run(folded)[0], run(model)[0], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "follower",
    [
        helper.make_node("Mul", ["t", "wide"], ["y"]),
        helper.make_node("Add", ["t", "x"], ["y"]),
        helper.make_node("Mul", ["t", "t"], ["y"]),
        helper.make_node("Div", ["one", "t"], ["y"]),
        helper.make_node("Div", ["t", "zero"], ["y"]),
    ],
)
def test_what_is_not_per_channel_stays(follower: NodeProto) -> None:
    constants = {
        "w": noise(1, 3, 3, 3, 3),
        "b": noise(2, 3),
        "wide": noise(3, 6),
        "one": np.ones(1, np.float32),
        "zero": np.zeros(1, np.float32),
    }
    model = model_of([conv("x", "t", pads=[1, 1, 1, 1]), follower], constants)

    assert operators(after(fold_affine, model)) == ["Conv", follower.op_type]


def test_a_conv_that_others_read_too_keeps_its_weights() -> None:
    nodes = [conv("x", "t"), normalization("t", "n"), helper.make_node("Add", ["t", "n"], ["y"])]

    assert operators(after(fold_affine, model_of(nodes, {**WEIGHTS, **NORM}))) == ["Conv", "BatchNormalization", "Add"]


def test_a_conv_that_is_an_output_keeps_its_weights() -> None:
    model = model_of([conv("x", "t"), normalization("t", "y")], {**WEIGHTS, **NORM}, outputs=("y", "t"))

    assert operators(after(fold_affine, model)) == ["Conv", "BatchNormalization"]


def test_convs_that_share_weights_are_folded_apart() -> None:
    nodes = [
        conv("x", "t"),
        normalization("t", "n"),
        conv("x", "u"),
        helper.make_node("Add", ["n", "u"], ["y"]),
    ]
    model = model_of(nodes, {**WEIGHTS, **NORM})
    folded = after(fold_affine, model)

    assert operators(folded) == ["Conv", "Conv", "Add"]
    np.testing.assert_allclose(run(folded)[0], run(model)[0], rtol=1e-5, atol=1e-4)


def pad_model(padding: list[int], *, value: float = 0.0, mode: str = "constant", **attributes: Any) -> ModelProto:
    constants = {**WEIGHTS, "pads": np.array(padding, np.int64), "value": np.array(value, np.float32)}
    return model_of(
        [helper.make_node("Pad", ["x", "pads", "value"], ["p"], mode=mode), conv("p", "y", **attributes)], constants
    )


@pytest.mark.parametrize("own", [{}, {"pads": [1, 0, 2, 0]}, {"auto_pad": "VALID"}, {"strides": [2, 2]}])
def test_padding_with_zeros_becomes_the_convs_own(own: dict[str, Any]) -> None:
    model = pad_model([0, 0, 1, 0, 0, 0, 2, 1], **own)
    merged = after(merge_padding, model)

    assert operators(merged) == ["Conv"]
    np.testing.assert_array_equal(run(merged)[0], run(model)[0])


@pytest.mark.parametrize(
    "model",
    [
        pad_model([0, 0, 1, 1, 0, 0, 1, 1], value=1.0),
        pad_model([0, 0, 1, 1, 0, 0, 1, 1], mode="reflect"),
        pad_model([1, 0, 1, 1, 0, 0, 1, 1]),
        pad_model([0, 0, -1, 0, 0, 0, 0, 0]),
        pad_model([0, 0, 1, 1, 0, 0, 1, 1], auto_pad="SAME_UPPER"),
    ],
    ids=["of ones", "by reflection", "of the batch", "by less than nothing", "before automatic padding"],
)
def test_other_padding_stays(model: ModelProto) -> None:
    assert operators(after(merge_padding, model)) == ["Pad", "Conv"]
