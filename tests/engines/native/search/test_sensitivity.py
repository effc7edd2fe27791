from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from quantize.calibration.collect import collect
from quantize.engines.native.builder.builder import NativeBuilder, op_types_of
from quantize.engines.native.search.changed_weights import ChangedWeights
from quantize.engines.native.search.op_graph import op_graph
from quantize.engines.native.search.scorer import Scorer
from quantize.engines.native.search.sensitivity import mean_of_roots, measure_sensitivity
from quantize.grid.grid import Grid
from quantize.models.artifact import save_model
from quantize.models.weights_apart import weights_apart
from quantize.recipe import Recipe

RECIPE = Recipe(engine="native", corrections=("bias",), float_nodes=("gap", "softmax"))


@pytest.fixture(scope="module")
def measured(model, batches, tmp_path_factory):
    """Sensitivity, the quantized weights, the grids and the scorer behind it."""
    proto = model.proto()
    builder = NativeBuilder(tmp_path_factory.mktemp("candidates"))
    statistics = collect(proto, batches)
    weights, grids = builder.quantized_weights(proto, RECIPE, statistics)
    scorer = Scorer(model, batches, most=24, threads=2)
    graph = op_graph(proto, op_types_of(RECIPE))
    changed = ChangedWeights(weights.changed(proto), weights.added_biases)
    with weights_apart(proto) as apart:
        sensitivity = measure_sensitivity(apart, graph, changed, grids, scorer, fixed_batch=None)
    return sensitivity, weights, grids, scorer, builder.graph(proto, RECIPE, statistics)


def with_weights(proto, weights, unit):
    """The fp32 model with one layer's weights and bias as the candidate has them."""
    changed = onnx.ModelProto.FromString(proto.SerializeToString())
    node = next(node for node in changed.graph.node if node.name == unit)
    if unit in weights.added_biases:
        node.input.append(weights.added_biases[unit])
    placed = {tensor.name: tensor for tensor in weights.model.graph.initializer}
    names = set(node.input) & set(placed)
    kept = [tensor for tensor in changed.graph.initializer if tensor.name not in names]
    del changed.graph.initializer[:]
    changed.graph.initializer.extend([*kept, *(placed[name] for name in names)])
    return changed


def with_rounded(proto, tensor, grid: Grid):
    """The fp32 model with one tensor put on its grid."""
    changed = onnx.ModelProto.FromString(proto.SerializeToString())
    for node in changed.graph.node:
        for at, name in enumerate(node.input):
            if name == tensor:
                node.input[at] = "rounded"
    changed.graph.initializer.append(numpy_helper.from_array(np.float32(grid.scale), "scale"))
    changed.graph.initializer.append(numpy_helper.from_array(np.uint8(grid.zero_point), "zero_point"))
    nodes = list(changed.graph.node)
    at = 1 + max((i for i, node in enumerate(nodes) if tensor in node.output), default=-1)
    nodes[at:at] = [
        helper.make_node("QuantizeLinear", [tensor, "scale", "zero_point"], ["levels"], "q"),
        helper.make_node("DequantizeLinear", ["levels", "scale", "zero_point"], ["rounded"], "dq"),
    ]
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed


def test_the_pass_finds_what_the_whole_model_with_one_layers_weights_changed_shows(measured, model):
    sensitivity, weights, _, scorer, _ = measured
    for unit in ("stem", "left", "right", "last"):
        expected = mean_of_roots(scorer.fidelity(with_weights(model.proto(), weights, unit)).divergences)
        assert sensitivity.weights[unit] == pytest.approx(expected, rel=0.02, abs=1e-9)


def test_the_pass_finds_what_the_whole_model_with_one_tensor_rounded_shows(measured, model):
    sensitivity, _, grids, scorer, _ = measured
    for tensor in ("x", "r0", "r1", "r3"):
        expected = mean_of_roots(scorer.fidelity(with_rounded(model.proto(), tensor, grids[tensor])).divergences)
        assert sensitivity.tensors[tensor] == pytest.approx(expected, rel=0.02, abs=1e-9)


def test_the_sum_is_near_what_the_candidate_with_everything_quantized_loses(measured):
    sensitivity, _, _, scorer, candidate = measured
    summed = sum(sensitivity.weights.values()) + sum(
        value for name, value in sensitivity.tensors.items() if name != "gap"
    )
    assert summed == pytest.approx(mean_of_roots(scorer.fidelity(candidate).divergences), rel=0.6)


def test_the_number_of_images_is_bounded(measured):
    sensitivity, *_ = measured
    assert sensitivity.images == 24


def again(measured, model, **settings):
    _, weights, grids, scorer, _ = measured
    proto = model.proto()
    graph = op_graph(proto, op_types_of(RECIPE))
    changed = ChangedWeights(weights.changed(proto), weights.added_biases)
    with weights_apart(proto) as apart:
        return measure_sensitivity(apart, graph, changed, grids, scorer, fixed_batch=None, **settings)


def test_other_weights_of_some_ops_are_measured_beside_them(measured, model):
    whole, weights, *_ = measured
    nodes = {node.name: node for node in model.proto().graph.node}
    some = {name: nodes[name] for name in ("left", "last")}
    other = ChangedWeights(weights.changed(model.proto()), weights.added_biases).only(some)
    both = again(measured, model, uint8_weights=other)
    assert both.uint8_weights == {name: whole.weights[name] for name in some}
    assert replace(both, uint8_weights={}) == whole


def test_images_in_several_passes_give_the_same(measured, model, monkeypatch):
    monkeypatch.setattr("quantize.engines.native.search.sensitivity._CHUNK_BYTES", 1)
    assert again(measured, model) == measured[0]


def test_an_op_whose_activation_comes_behind_another_op_is_measured_all_the_same(measured, model, tmp_path):
    parted = model.proto()
    nodes = {node.name: node for node in parted.graph.node}
    order = ["stem", "stem_relu", "left", "right", "left_relu", "right_relu"]
    order += [name for name in nodes if name not in order]
    nodes = [onnx.NodeProto.FromString(nodes[name].SerializeToString()) for name in order]
    del parted.graph.node[:]
    parted.graph.node.extend(nodes)
    other, whole = again(measured, save_model(parted, tmp_path / "parted.onnx")), measured[0]
    for own, known in ((other.weights, whole.weights), (other.tensors, whole.tensors)):
        assert own == pytest.approx(known, rel=1e-4)


def test_an_image_near_a_decision_counts_less_than_in_a_mean():
    assert mean_of_roots([0.01, 0.01, 0.01, 1.0]) == pytest.approx(((3 * 0.1 + 1.0) / 4) ** 2)
    assert mean_of_roots([-1e-9, 0.0]) == 0.0
