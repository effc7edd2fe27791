from __future__ import annotations

import gc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.calibration.collect import collect
from quantize.engines.native.builder.equalization import equalizable, equalized
from quantize.engines.native.builder.weights import EQUALIZATION
from quantize.formats.exact import open_exact_session
from quantize.graph.view import Graph
from tests.engines.native.builder.small_model import BATCHES, RECIPE, error, quantize_graph, scores


def test_an_equalized_model_is_the_same_function(model):
    changed = equalized(model)
    weights = [numpy_helper.to_array(t) for m in (model, changed) for t in m.graph.initializer if t.name == "w0"]
    assert not np.array_equal(*weights)
    assert scores(changed) == pytest.approx(scores(model), rel=1e-4, abs=1e-4)


def test_no_view_of_a_model_is_left_when_its_pairs_are_found(model):
    """It would hold a large model until the next collection of cycles, beside the one that is read after it."""
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(held, Graph) for held in gc.get_objects())
        assert any(equalizable(model))
        assert sum(isinstance(held, Graph) for held in gc.get_objects()) == before
    finally:
        gc.enable()


@pytest.mark.parametrize("kernel", [(3,), (3, 3), (1, 3, 3)], ids=["1d", "2d", "3d"])
@pytest.mark.parametrize("group", [1, 4], ids=["all channels", "depthwise"])
def test_convolutions_of_any_number_of_dimensions_are_equalized(kernel, group):
    draw, sides = np.random.default_rng(5), [6] * len(kernel)
    made = draw.normal(0, 1, (4, 3, *kernel)) * np.array([10, 1, 0.1, 3]).reshape(4, 1, *[1] * len(kernel))
    constants = {"made": made, "shift": draw.normal(0, 1, 4), "taken": draw.normal(0, 1, (4, 4 // group, *kernel))}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "made", "shift"], ["a"], "first"),
            helper.make_node("Relu", ["a"], ["r"], "relu"),
            helper.make_node("Conv", ["r", "taken"], ["y"], "second", group=group),
        ],
        "convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, *sides])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    images = draw.normal(0, 1, (2, 3, *sides)).astype(np.float32)
    changed = equalized(model)
    before, after = (open_exact_session(each).run(None, {"x": images})[0] for each in (model, changed))
    assert changed != model
    assert after == pytest.approx(before, rel=1e-5, abs=1e-5)


def test_depthwise_chains_and_several_consumers_can_be_equalized(model):
    pairs = {pair.producer.node: [layer.node for layer in pair.consumers] for pair in equalizable(model)}
    assert pairs == {"conv0": ["depthwise"], "depthwise": ["left", "right"]}


def test_a_clip_or_an_output_of_the_model_stops_equalization(model):
    clipped = onnx.ModelProto.FromString(model.SerializeToString())
    relu = next(node for node in clipped.graph.node if node.name == "relu0")
    relu.op_type = "Clip"
    assert [pair.producer.node for pair in equalizable(clipped)] == ["depthwise"]
    clipped.graph.output.append(helper.make_tensor_value_info("r1", TensorProto.FLOAT, None))
    assert list(equalizable(clipped)) == []


def test_equalization_is_built_from_statistics_of_the_equalized_model(model):
    after = collect(equalized(model), BATCHES)
    quantized = quantize_graph(model, RECIPE.but(corrections=(EQUALIZATION,)), after)
    assert error(model, quantized) < 0.01 * scores(model).var()
