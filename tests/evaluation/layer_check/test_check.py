"""Quantized layers beside what their grids predict, on networks of many kinds."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from quantize.data.batches import Batch
from quantize.engines.engine import engine_named
from quantize.evaluation.layer_check import LayerFinding, check_layers
from quantize.formats import canonical
from quantize.formats.twins import part_of
from quantize.graph.view import Graph
from tests.vocabulary import products
from tests.vocabulary.engines import NATIVE, PLAIN, by_onnxruntime, natively
from tests.vocabulary.growth import Plan, Planned
from tests.vocabulary.quantized import Built, Quantized, sample, written
from tests.vocabulary.test_random_graphs import PLANS

ENGINES = {"native": (natively(), NATIVE), "ort": (by_onnxruntime, PLAIN)}


def found(made: Quantized, *models: ModelProto, engine: str) -> list[LayerFinding]:
    images = [Batch(tuple(map(str, range(len(batch)))), batch, None) for batch in made.sample.images[:2]]
    reference = engine_named(engine).reference(made.sample.prepared.proto(), ENGINES[engine][1])
    named = {str(number): model for number, model in enumerate(models or (made.qlinear, made.qdq))}
    return [one for own in check_layers(lambda: reference, named, images, corrected=True).values() for one in own]


def made(plan: Plan, engine: str, folder: str) -> Quantized:
    build: Built = ENGINES[engine][0]
    return written(sample(plan.model(), Path(folder)), build, Path(folder))


@given(PLANS, st.sampled_from(sorted(ENGINES)))
@settings(max_examples=40, derandomize=True, database=None, phases=[Phase.generate], deadline=None)
def test_no_layer_of_any_network_is_called_wrong_where_nothing_is(plan: Plan, engine: str) -> None:
    with TemporaryDirectory() as folder:
        findings = found(made(plan, engine, folder), engine=engine)
    assert findings
    for finding in findings:
        assert not finding.wrong, finding


def test_a_layer_made_in_parts_is_held_to_the_steps_of_all_of_them(tmp_path: Path) -> None:
    whole = written(sample(products.packed_transformer(), tmp_path), natively(), tmp_path)
    parts = [node.name for node in whole.qdq.graph.node if part_of(node.name) is not None]
    assert len([name for name in parts if name.endswith(("_0", "_1", "_2"))]) == 3
    (layer,) = {name.partition("_part_")[0] for name in parts}
    ratios = [one.error / one.predicted for one in found(whole, whole.qdq, engine="native") if one.layer == layer]
    assert len(ratios) == 3
    # By the largest step of the first part it would be 0.83 to 0.87.
    assert all(0.9 < ratio < 1.1 for ratio in ratios), ratios


def with_signed_grid(model: ModelProto, tensor: str) -> ModelProto:
    """Return a QDQ model in which a tensor's grid reaches as far below zero as above: a Relu that it stood for goes."""
    graph = Graph(canonical(model))
    (quantize,) = (node for node in graph.consumers(tensor) if node.op_type == "QuantizeLinear")
    scale, zero_point = (graph.constant(name) for name in quantize.input[1:])
    assert scale is not None
    assert zero_point is not None
    assert int(zero_point) == 0
    names = (
        graph.add_constant("signed_scale", np.float32(2) * scale),
        graph.add_constant("signed_zero", np.array(128, np.uint8)),
    )
    for node in (quantize, *graph.consumers(quantize.output[0])):
        for position, name in enumerate(names, start=1):
            graph.set_input(node, position, name)
    return graph.model()


def with_other_bias(model: ModelProto) -> ModelProto:
    """Return a QDQ model whose first bias is the least number of its type in every other channel."""
    graph = Graph(canonical(model))
    conv = next(node for node in graph.sorted_nodes() if node.op_type == "Conv")
    dequantize = graph.producer(conv.input[2])
    assert dequantize is not None
    values = graph.constant(dequantize.input[0])
    assert values is not None
    damaged = values.copy()
    damaged[::2] = np.iinfo(damaged.dtype).min
    graph.set_constant(dequantize.input[0], damaged)
    return graph.model()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_relu_that_is_gone_and_a_bias_that_is_another_are_found_in_their_layers_and_no_others(
    engine: str, seed: int, tmp_path: Path
) -> None:
    steps = ("conv", "relu", "conv", "relu", "pointwise")
    plan = Plan(tuple(Planned(name, 0, seed + number) for number, name in enumerate(steps)))
    whole = made(plan, engine, str(tmp_path))
    fp32 = whole.sample.prepared.proto()
    convs = [node for node in fp32.graph.node if node.op_type == "Conv"]
    second = Graph.of(fp32).consumers(convs[1].output[0])[0]
    lost = with_signed_grid(whole.qdq, second.output[0])
    assert {one.layer for one in found(whole, lost, engine=engine) if one.wrong} == {convs[1].name}
    overflowed = with_other_bias(whole.qdq)
    assert {one.layer for one in found(whole, overflowed, engine=engine) if one.wrong} == {convs[0].name}


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_every_quantized_layer_is_checked_in_both_formats(engine: str, tmp_path: Path) -> None:
    steps = ("conv", "relu", "depthwise", "relu", "pooled", "conv", "add")
    plan = Plan(tuple(Planned(name, 0, number) for number, name in enumerate(steps)))
    whole = made(plan, engine, str(tmp_path))
    weighted = {node.name for node in whole.sample.prepared.proto().graph.node if node.op_type in ("Conv", "Gemm")}
    for model in (whole.qlinear, whole.qdq):
        assert weighted <= {one.layer for one in found(whole, model, engine=engine)}


def test_squeezed_blocks_in_a_row_can_be_fed(tmp_path: Path) -> None:
    """With all of its optimizations, onnxruntime 1.32 reads what is fed here in another layout than it is in."""
    plan = Plan((Planned("squeezed", 0, 312), Planned("squeezed", 0, 312)), side=16)
    assert max(one.ratio for one in found(made(plan, "native", str(tmp_path)), engine="native")) < 2


def test_a_layer_for_which_no_error_can_be_predicted_is_wrong() -> None:
    unforeseen = LayerFinding("norm", "Mul", ("norm",), error=0.02, predicted=float(np.finfo(np.float32).max))
    assert unforeseen.wrong
    assert unforeseen.is_number
    assert not unforeseen.foreseen
