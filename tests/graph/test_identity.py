from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from quantize.graph.identity import graph_sha256, weights_sha256
from quantize.graph.opsets.raising import raise_opset

Classifier = Callable[..., ModelProto]


def copy_of(model: ModelProto) -> ModelProto:
    return ModelProto.FromString(model.SerializeToString())


def test_metadata_does_not_change_a_graphs_identity(classifier: Classifier) -> None:
    model = classifier()
    described = copy_of(model)
    helper.set_model_props(described, {"preprocessing": "caffe"})

    assert graph_sha256(described) == graph_sha256(model)


def test_one_changed_weight_changes_both_identities(classifier: Classifier) -> None:
    model = classifier()
    changed = copy_of(model)
    values = numpy_helper.to_array(changed.graph.initializer[0]).copy()
    values.flat[0] += 1e-3
    changed.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "w"))

    assert graph_sha256(changed) != graph_sha256(model)
    assert weights_sha256(changed) != weights_sha256(model)


def test_names_order_and_opset_do_not_change_the_weights_identity(classifier: Classifier) -> None:
    model = classifier(opset=12)
    other = raise_opset(model, 13)
    for tensor in other.graph.initializer:
        tensor.name += "_renamed"
    other.graph.initializer.reverse()

    assert weights_sha256(other) == weights_sha256(model)


def test_weights_in_constant_nodes_count_as_weights(classifier: Classifier) -> None:
    model = classifier()
    constants = copy_of(model)
    nodes = [
        helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in constants.graph.initializer
    ] + list(constants.graph.node)
    del constants.graph.node[:], constants.graph.initializer[:]
    constants.graph.node.extend(nodes)

    assert weights_sha256(constants) == weights_sha256(model)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1, 1)])
def test_dimensions_of_one_do_not_change_the_weights_identity(classifier: Classifier, shape: tuple[int, ...]) -> None:
    values = np.arange(4, dtype=np.float32)

    assert weights_sha256(classifier(constants={"extra": values.reshape(shape)})) == weights_sha256(
        classifier(constants={"extra": values})
    )


def test_single_values_are_no_weights(classifier: Classifier) -> None:
    bounds = {"low": np.float32(0).reshape(()), "high": np.float32(6).reshape(())}

    assert weights_sha256(classifier(constants=bounds)) == weights_sha256(classifier())
