"""Weights that are stored in int8 and computed in fp32."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import numpy_helper

from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.formats.stored import stored, stored_initializers, stored_layers, with_weights
from quantize.graph.view import Graph
from quantize.models.session import open_session
from tests.engines.native.search.conftest import classifier_graph

ROWS = arrays(np.float32, (4, 9), elements=st.floats(-2, 2, width=32))


def stored_classifier():
    graph = classifier_graph()
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    chosen = {
        name: stored(weights[name], np.abs(weights[name]).max(axis=(1, 2, 3)) / np.float32(127), 0)
        for name in ("w0", "w1", "w2", "w3")
    }
    return with_weights(graph, chosen), chosen


@given(ROWS)
@settings(deadline=None)
def test_weights_on_the_grid_come_back_to_the_last_bit(rows):
    scales = np.maximum(np.abs(rows).max(axis=1) / np.float32(127), np.float32(1e-6))
    on_grid = np.rint(rows / scales[:, None]).astype(np.float32) * scales[:, None]
    found = stored(on_grid, scales, 0)
    assert found.levels.dtype == np.int8
    assert np.array_equal(found.values, on_grid)


def test_the_graph_that_runs_is_the_one_of_plain_weights(tmp_path):
    model, chosen = stored_classifier()
    plain = classifier_graph()
    for tensor in plain.graph.initializer:
        if tensor.name in chosen:
            tensor.CopyFrom(numpy_helper.from_array(chosen[tensor.name].values, tensor.name))
    images = np.random.default_rng(0).normal(0, 1, (4, 3, 16, 16)).astype(np.float32)
    expected = open_session(plain.SerializeToString()).run(None, {"x": images})[0]
    graphs = []
    for name, proto in (("plain", plain), ("qlinear", to_qlinear(model)), ("qdq", to_qdq(model))):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / f"{name}.onnx")
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        optimized = onnx.load(tmp_path / f"{name}.onnx")
        graphs.append([(node.domain, node.op_type) for node in optimized.graph.node])
        assert np.array_equal(session.run(None, {"x": images})[0], expected)
    assert graphs[0] == graphs[1] == graphs[2]


def test_stored_layers_are_told_in_every_form():
    model, _ = stored_classifier()
    layers = ("stem", "left", "right", "last")
    for form in (model, canonical(model), to_qlinear(model), to_qdq(model)):
        assert stored_layers(form) == layers
        assert len(stored_initializers(form)) == 4
    assert stored_layers(classifier_graph()) == ()


def test_rewrites_see_the_values_that_are_computed_with():
    model, chosen = stored_classifier()
    graph = Graph(model)
    (conv,) = [node for node in graph.nodes if node.name == "right"]
    assert np.array_equal(graph.constant(conv.input[1]), chosen["w2"].values)
    assert graph.constant("r0") is None


def test_a_name_that_the_graph_does_not_have_is_refused():
    _, chosen = stored_classifier()
    with pytest.raises(KeyError, match="nowhere"):
        with_weights(classifier_graph(), {"nowhere": chosen["w0"]})
