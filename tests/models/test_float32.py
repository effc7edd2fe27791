from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.graph.nodes import all_tensors
from quantize.models.float32 import in_float32, other_floats
from tests.models.conftest import Classifier, Scores

HALF, BRAIN, DOUBLE = TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE
Images = NDArray[np.float32]


def in_type(model: ModelProto, kind: int, *, inside: bool = False) -> ModelProto:
    """Return a model with its weights in a type, and its image and scores too, or with Casts between."""
    result = ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32:
            continue
        tensor.CopyFrom(helper.make_tensor(tensor.name, kind, values.shape, values.ravel().tolist()))
    if not inside:
        for value in (*result.graph.input, *result.graph.output):
            value.type.tensor_type.elem_type = kind
        return result
    first, last = result.graph.node[0], result.graph.node[-1]
    image, scores = first.input[0], last.output[0]
    first.input[0], last.output[0] = "image_inside", "scores_inside"
    result.graph.node.insert(0, helper.make_node("Cast", [image], ["image_inside"], to=kind))
    result.graph.node.append(helper.make_node("Cast", ["scores_inside"], [scores], to=TensorProto.FLOAT))
    return result


@pytest.fixture
def images() -> Images:
    return np.random.default_rng(5).standard_normal((3, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("kind", [HALF, BRAIN, DOUBLE])
@pytest.mark.parametrize("inside", [False, True])
def test_weights_image_and_scores_become_float32_and_casts_that_do_nothing_go(
    classifier: Classifier, run: Scores, images: Images, kind: int, inside: bool
) -> None:
    model = classifier()
    given = in_type(model, kind, inside=inside)

    converted = in_float32(given)

    assert other_floats(given)
    assert not other_floats(converted)
    assert {tensor.data_type for tensor in all_tensors(converted.graph)} == {TensorProto.FLOAT}
    assert "Cast" not in [node.op_type for node in converted.graph.node]
    assert [value.name for value in (*converted.graph.input, *converted.graph.output)] == ["image", "scores"]
    np.testing.assert_allclose(run(converted, images), run(model, images), atol=2e-2)


@pytest.mark.parametrize("inside", [False, True])
def test_half_precision_computes_what_onnxruntime_makes_of_it(
    classifier: Classifier, run: Scores, images: Images, inside: bool
) -> None:
    given = in_type(classifier(), HALF, inside=inside)

    theirs = run(given, images if inside else images.astype(np.float16))

    np.testing.assert_allclose(run(in_float32(given), images), theirs, atol=2e-3)


def test_a_model_in_float32_is_returned_itself(classifier: Classifier) -> None:
    model = classifier()

    assert in_float32(model) is model


def test_float64_that_only_computes_shapes_stays(classifier: Classifier) -> None:
    sizes = [
        helper.make_node("Shape", ["features"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["sizes"], to=DOUBLE),
        helper.make_node("Mul", ["sizes", "one"], ["scaled"]),
        helper.make_node("Cast", ["scaled"], ["target"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["features", "target"], ["last"]),
    ]
    model = classifier(sizes, {"one": np.ones(1, np.float64)})

    assert other_floats(model) == ()


def test_half_precision_in_the_branches_of_an_if_is_converted_too(
    classifier: Classifier, run: Scores, images: Images
) -> None:
    def branch(factor: float) -> object:
        value = helper.make_tensor_value_info("y", HALF, None)
        nodes = [
            helper.make_node("Cast", ["features"], ["half"], to=HALF),
            helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.array(factor, np.float16))),
            helper.make_node("Mul", ["half", "k"], ["y"]),
        ]
        return helper.make_graph(nodes, "branch", [], [value])

    body = [
        helper.make_node("If", ["yes"], ["chosen"], then_branch=branch(0.5), else_branch=branch(2.0)),
        helper.make_node("Cast", ["chosen"], ["last"], to=TensorProto.FLOAT),
    ]
    model = classifier(body, {"yes": np.array(True)})

    converted = in_float32(model)

    assert not other_floats(converted)
    np.testing.assert_allclose(run(converted, images), run(model, images), atol=2e-3)
