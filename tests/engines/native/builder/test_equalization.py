from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.calibration.collect import collect
from quantize.engines.native.builder.equalization import equalizable, equalized
from quantize.engines.native.builder.weights import EQUALIZATION
from tests.engines.native.builder.small_model import BATCHES, RECIPE, error, quantize_graph, scores


def test_an_equalized_model_is_the_same_function(model):
    changed = equalized(model)
    weights = [numpy_helper.to_array(t) for m in (model, changed) for t in m.graph.initializer if t.name == "w0"]
    assert not np.array_equal(*weights)
    assert scores(changed) == pytest.approx(scores(model), rel=1e-4, abs=1e-4)


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
