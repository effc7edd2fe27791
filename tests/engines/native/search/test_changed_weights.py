from __future__ import annotations

import numpy as np
from onnx import helper, numpy_helper

from quantize.engines.native.search.changed_weights import ChangedWeights

CONSTANTS = {name: numpy_helper.from_array(np.zeros(2, np.float32), name) for name in ("w", "b", "v", "shift")}
CHANGED = ChangedWeights(CONSTANTS, {"added": "shift", "same": "b"})
NODES = {
    "own": helper.make_node("Conv", ["x", "w", "b"], ["y"]),
    "added": helper.make_node("Conv", ["x", "v"], ["z"]),
    "same": helper.make_node("Conv", ["x", "u"], ["z"]),
}


def names(op):
    return [tensor.name for tensor in CHANGED.of(op, NODES[op])]


def test_an_op_has_its_weights_and_its_bias():
    assert names("own") == ["w", "b"]


def test_a_bias_that_correction_added_comes_with_the_weights():
    assert names("added") == ["v", "shift"]


def test_an_op_whose_weights_are_as_before_has_nothing():
    assert names("same") == []


def test_those_of_some_ops_alone_leave_the_others_as_they_are():
    some = CHANGED.only({"added": NODES["added"]})
    assert set(some.constants) == {"v", "shift"}
    assert some.of("added", NODES["added"]) == CHANGED.of("added", NODES["added"])
    assert not some.of("own", NODES["own"])
