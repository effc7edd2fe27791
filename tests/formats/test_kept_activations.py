"""Activations that quantizers remove although no grid carries their bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.engines.native.builder.qdq import insert_qdq
from quantize.formats import canonical, to_qlinear
from quantize.formats.exact import open_exact_session
from quantize.formats.kept_activations import with_activations
from quantize.graph.view import Graph
from quantize.grid.grid import Grid
from quantize.recipe import Recipe
from quantize.rewrites import apply_rewrites
from quantize.rewrites.registry import REWRITES

RECIPE = Recipe(engine="native")
BOUNDS = {
    "none": None,
    "Relu": (0.0, np.inf),
    "Relu6": (0.0, 6.0),
    "unit": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "above": (0.5, 3.0),
    "below": (-2.0, -0.25),
}
CHANNELS = 4
IMAGES = np.random.default_rng(3).normal(0, 2, (4, 3, 8, 8)).astype(np.float32)


def branches(kinds: list[str], *, pooled: bool) -> ModelProto:
    """Return a Concat of Convs of one image, each with its activation, all of which may have a pool behind them."""
    rng = np.random.default_rng(len(kinds))
    nodes: list[NodeProto] = []
    constants = []
    joined = []
    for at, kind in enumerate(kinds):
        weights = rng.normal(0, 0.8, (CHANNELS, 3, 3, 3)).astype(np.float32)
        constants.append(numpy_helper.from_array(weights, f"w{at}"))
        nodes.append(helper.make_node("Conv", ["x", f"w{at}"], [f"c{at}"], f"conv{at}"))
        last = f"c{at}"
        if kind == "Relu":
            nodes.append(helper.make_node("Relu", [last], [last := f"a{at}"], f"act{at}"))
        elif (bounds := BOUNDS[kind]) is not None:
            for end, value in zip(("low", "high"), bounds, strict=True):
                constants.append(numpy_helper.from_array(np.array(value, np.float32), f"{end}{at}"))
            nodes.append(helper.make_node("Clip", [last, f"low{at}", f"high{at}"], [f"a{at}"], f"act{at}"))
            last = f"a{at}"
        if pooled:
            nodes.append(helper.make_node("MaxPool", [last], [f"p{at}"], f"pool{at}", kernel_shape=[2, 2]))
            last = f"p{at}"
        joined.append(last)
    nodes.append(helper.make_node("Concat", joined, ["y"], "concat", axis=1))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "branches",
        [value("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [value("y", TensorProto.FLOAT, ["N", CHANNELS * len(kinds), None, None])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def scores(model: ModelProto) -> NDArray[Any]:
    session = open_exact_session(model)
    result: NDArray[Any] = session.run(None, {session.get_inputs()[0].name: IMAGES})[0]
    return result


@st.composite
def quantized_branches(draw: st.DrawFn) -> tuple[list[str], ModelProto, ModelProto]:
    """Draw branches, and what onnxruntime's quantizer makes of them with ranges of which some are anyone's."""
    kinds = draw(st.lists(st.sampled_from(list(BOUNDS)), min_size=2, max_size=3))
    fp32 = branches(kinds, pooled=draw(st.booleans()))
    shared = draw(st.booleans())
    common = Grid.covering(draw(st.sampled_from([-9.0, -0.5, 0.0])), draw(st.sampled_from([0.7, 5.0, 6.0, 12.0])))
    assume(common.low < -2 or "below" not in kinds)  # a grid that begins at 0 has no other number for them
    grids: dict[str, Grid] = {"x": Grid.covering(float(IMAGES.min()), float(IMAGES.max())), "y": common}
    for at, kind in enumerate(kinds):
        low, high = BOUNDS[kind] or (-9.0, 9.0)
        ends = max(low, -9.0), min(high, draw(st.sampled_from([4.0, 9.0])))
        own = common if shared else Grid.covering(*ends, symmetric=draw(st.booleans()))
        grids |= dict.fromkeys((f"c{at}", f"a{at}", f"p{at}"), own)
    return kinds, fp32, insert_qdq(fp32, RECIPE, ("Conv", "Relu", "Clip", "MaxPool", "Concat"), grids, {})


@given(quantized_branches(), st.sets(st.sampled_from([rewrite.name for rewrite in REWRITES])))
@settings(deadline=None, max_examples=80)
def test_every_activation_keeps_its_bounds_in_both_formats_whatever_the_grids_and_rewrites_are(
    case: tuple[list[str], ModelProto, ModelProto], rewrites: set[str]
) -> None:
    kinds, fp32, quantized = case
    kept = apply_rewrites(with_activations(quantized, fp32), sorted(rewrites))
    by_format = [scores(kept), scores(to_qlinear(kept, opset=13)), scores(canonical(kept))]
    for given_scores in by_format:
        for at, kind in enumerate(kinds):
            values = given_scores[:, at * CHANNELS : (at + 1) * CHANNELS]
            low, high = BOUNDS[kind] or (-np.inf, np.inf)
            step = 24.0 / 255  # of the widest grid
            assert values.min() >= low - step
            assert values.max() <= high + step
    np.testing.assert_allclose(by_format[0], by_format[1], atol=1e-5)


def test_a_model_that_lost_nothing_is_the_same_object() -> None:
    fp32 = branches(["Relu", "Relu6"], pooled=False)
    grids = {"x": Grid.covering(-8, 8), "y": Grid.covering(0, 9)}
    grids |= {
        "c0": Grid.covering(0, 9),
        "a0": Grid.covering(0, 9),
        "c1": Grid.covering(0, 6),
        "a1": Grid.covering(0, 6),
    }
    quantized = insert_qdq(fp32, RECIPE, ("Conv", "Relu", "Clip", "Concat"), grids, {})
    assert not {"Relu", "Clip"} & {node.op_type for node in quantized.graph.node}
    assert with_activations(quantized, fp32) is quantized


def test_a_relu_that_a_signed_grid_stands_for_becomes_a_clip_of_integers() -> None:
    fp32 = branches(["Relu", "none"], pooled=False)
    signed = Grid.covering(-8, 8)
    quantized = insert_qdq(
        fp32, RECIPE, ("Conv", "Relu", "Concat"), dict.fromkeys(("x", "c0", "a0", "c1", "y"), signed), {}
    )
    assert scores(quantized)[:, :CHANNELS].min() < -1  # what onnxruntime's quantizer leaves
    kept = with_activations(quantized, fp32)
    assert scores(kept)[:, :CHANNELS].min() == 0
    kinds = [node.op_type for node in to_qlinear(kept, opset=13).graph.node]
    assert (kinds.count("QLinearConv"), kinds.count("Clip"), kinds.count("Relu")) == (2, 1, 0)


@pytest.mark.parametrize("first", [True, False])
def test_only_the_activations_own_readers_are_confined_where_others_read_before_it(first: bool) -> None:
    """Neural Compressor lets the readers of a Relu's result read its input, whoever else reads that."""
    rng = np.random.default_rng(1)
    names = ["a", "c"] if first else ["c", "a"]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["c"], "conv"),
        helper.make_node("Relu", ["c"], ["a"], "relu"),
        helper.make_node("Concat", names, ["y"], "concat", axis=1),
    ]
    value = helper.make_tensor_value_info
    fp32 = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [value("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
            [value("y", TensorProto.FLOAT, ["N", 8, 6, 6])],
            [numpy_helper.from_array(rng.normal(0, 0.8, (4, 3, 3, 3)).astype(np.float32), "w0")],
        ),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    without = Graph(fp32)
    without.bypass(next(node for node in without.nodes if node.op_type == "Relu"))
    signed = dict.fromkeys(("x", "c", "a", "y"), Grid.covering(-8, 8))
    lost = insert_qdq(without.model(), RECIPE, ("Conv", "Concat"), signed, {})
    halves = np.split(scores(with_activations(lost, fp32)), 2, axis=1)
    confined, other = halves if first else halves[::-1]
    assert confined.min() == 0
    assert other.min() < -1
    np.testing.assert_array_equal(confined, np.maximum(other, 0))


def test_scores_that_an_activation_confines_stay_confined_where_they_are_freed() -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["c"], "gemm", transB=1),
        helper.make_node("Relu", ["c"], ["y"], "relu"),
    ]
    value = helper.make_tensor_value_info
    weights = np.random.default_rng(0).normal(0, 1, (5, 192)).astype(np.float32)
    fp32 = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [value("x", TensorProto.FLOAT, ["N", 192])],
            [value("y", TensorProto.FLOAT, ["N", 5])],
            [numpy_helper.from_array(weights, "w")],
        ),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    grids = {"x": Grid.covering(-8, 8), "c": Grid.covering(0, 90), "y": Grid.covering(0, 90)}
    recipe = RECIPE.but(details=(("float_outputs", "true"),))
    freed = insert_qdq(fp32, recipe, ("Gemm", "Relu"), grids, {})
    images = IMAGES.reshape(4, 192)
    kept = open_exact_session(with_activations(freed, fp32)).run(None, {"x": images})[0]
    assert open_exact_session(freed).run(None, {"x": images})[0].min() < -1
    assert kept.min() == 0
    assert kept.max() > 1


@pytest.mark.parametrize(("kind", "tensor"), [("Relu", "a0"), ("none", "c0")])
def test_a_tensor_that_is_read_with_another_grid_than_it_is_written_with_gets_the_one_it_is_read_with(
    kind: str, tensor: str
) -> None:
    """So Neural Compressor writes a Pad before a Relu, and a Gather, where there need be no activation at all."""
    fp32 = branches([kind], pooled=False)
    grids = {"x": Grid.covering(-8, 8), "c0": Grid.covering(0, 9), "a0": Grid.covering(0, 9), "y": Grid.covering(0, 9)}
    quantized = insert_qdq(fp32, RECIPE, ("Conv", "Relu", "Concat"), grids, {})
    graph = Graph(quantized)
    quantize = next(node for node in graph.nodes if node.op_type == "QuantizeLinear" and tensor in node.name)
    graph.set_input(quantize, 1, graph.add_constant("other", np.array(0.001, np.float32)))
    np.testing.assert_array_equal(scores(with_activations(graph.model(), fp32)), scores(quantized))
    assert np.abs(scores(graph.model()) - scores(quantized)).max() > 1
