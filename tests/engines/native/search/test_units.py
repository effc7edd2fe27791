from __future__ import annotations

import numpy as np
import onnx

from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.search.segments import Segments
from quantize.engines.native.search.units import unit_graph
from quantize.models.session import open_session
from quantize.recipe import Recipe

OP_TYPES = op_types_of(Recipe(engine="native"))


def test_an_activation_belongs_to_the_op_before_it(model):
    graph = unit_graph(model.proto(), OP_TYPES)
    stem = next(unit for unit in graph.units if unit.name == "stem")
    assert stem.node_names == ("stem", "stem_relu")
    assert (stem.inputs, stem.output) == (("x",), "r0")
    last = next(unit for unit in graph.units if unit.name == "last")
    assert last.inputs == ("pooled",)
    assert last.output == "r3"


def test_ops_that_only_move_values_are_told_apart(model):
    graph = unit_graph(model.proto(), (*OP_TYPES, "Flatten"))  # which onnxruntime 1.23 and older do not quantize
    assert {unit.name for unit in graph.units if unit.moving} == {"concat", "pool", "flatten"}


def test_a_tensor_knows_its_maker_and_its_takers_and_its_size(model):
    graph = unit_graph(model.proto(), OP_TYPES)
    assert graph.producers["cat"].name == "concat"
    assert [unit.name for unit in graph.consumers["r0"]] == ["left", "right"]
    assert graph.elements["x"] == 3 * 16 * 16
    assert graph.elements["r0"] == 8 * 7 * 7
    assert (graph.image, graph.scores) == ("x", "scores")


def test_a_relu_that_something_else_shares_is_a_unit_of_its_own(model):
    proto = model.proto()
    right = next(node for node in proto.graph.node if node.name == "right")
    right.input[0] = "c0"
    graph = unit_graph(proto, OP_TYPES)
    assert next(unit for unit in graph.units if unit.name == "stem").node_names == ("stem",)
    assert next(unit for unit in graph.units if unit.name == "stem_relu").inputs == ("c0",)


def test_pieces_of_a_model_compute_what_the_whole_does(model, images):
    proto = model.proto()
    segments = Segments(proto)
    count = len(proto.graph.node)
    whole = open_session(model.path).run(None, {"x": images})[0]
    for cut in range(1, count):
        front, back = range(cut), range(cut, count)
        crossing = segments.inputs(back)
        made = open_session(segments.cut(front, crossing)).run(list(crossing), {"x": images})
        scores = open_session(segments.cut(back, ["scores"])).run(None, dict(zip(crossing, made, strict=True)))[0]
        assert np.allclose(scores, whole, atol=1e-5), cut


def test_a_piece_can_have_other_constants(model, images):
    proto = model.proto()
    segments = Segments(proto)
    zero = onnx.numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "w0")
    found = open_session(segments.cut([0], ["c0"], [zero])).run(None, {"x": images})[0]
    bias = next(onnx.numpy_helper.to_array(t) for t in proto.graph.initializer if t.name == "b0")
    assert np.allclose(found, bias[None, :, None, None])
