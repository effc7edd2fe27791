from __future__ import annotations

import numpy as np
import onnx

from quantize.engines.native.search.single_op_pass import Subgraphs
from quantize.models.session import open_session


def test_pieces_of_a_model_compute_what_the_whole_does(model, images):
    proto = model.proto()
    subgraphs = Subgraphs(proto)
    count = len(proto.graph.node)
    whole = open_session(model.path).run(None, {"x": images})[0]
    for cut in range(1, count):
        front, back = range(cut), range(cut, count)
        crossing = subgraphs.inputs(back)
        made = open_session(subgraphs.extract(front, crossing)).run(list(crossing), {"x": images})
        scores = open_session(subgraphs.extract(back, ["scores"])).run(None, dict(zip(crossing, made, strict=True)))[0]
        assert np.allclose(scores, whole, atol=1e-5), cut


def test_a_piece_can_have_other_constants(model, images):
    proto = model.proto()
    subgraphs = Subgraphs(proto)
    zero = onnx.numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "w0")
    output = open_session(subgraphs.extract([0], ["c0"], [zero])).run(None, {"x": images})[0]
    bias = next(onnx.numpy_helper.to_array(t) for t in proto.graph.initializer if t.name == "b0")
    assert np.allclose(output, bias[None, :, None, None])
