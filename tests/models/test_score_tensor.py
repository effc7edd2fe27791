from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.errors import ModelError
from quantize.models.score_tensor import SCORE_OUTPUT, score_tensor, score_tensors

Classifier = Callable[..., ModelProto]
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def head(
    *nodes: NodeProto, outputs: dict[str, tuple[int, list[int | str] | None]], image: list[int | str] | None = None
) -> ModelProto:
    """Return nodes behind four scores, `y`, of an image."""
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"]), *nodes],
        "head",
        [helper.make_tensor_value_info("x", FLOAT, image or ["N", 4, 8, 8])],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        [
            numpy_helper.from_array(np.array([2]), "k"),
            numpy_helper.from_array(np.array([1]), "one"),
            numpy_helper.from_array(np.array([7, 8, 9, 6]), "table"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


ARGMAX = helper.make_node("ArgMax", ["y"], ["best"], axis=1, keepdims=1)


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([ARGMAX], {"best": (INT64, ["N", 1])}),
        ([ARGMAX, helper.make_node("Squeeze", ["best", "one"], ["c"])], {"c": (INT64, ["N"])}),
        ([ARGMAX, helper.make_node("Cast", ["best"], ["c"], to=FLOAT)], {"c": (FLOAT, ["N", 1])}),
        ([ARGMAX, helper.make_node("Gather", ["table", "best"], ["c"])], {"c": (INT64, ["N", 1])}),
        (
            [helper.make_node("TopK", ["y", "k"], ["values", "classes"], axis=1)],
            {"values": (FLOAT, ["N", 2]), "classes": (INT64, ["N", 2])},
        ),
    ],
    ids=["argmax", "squeezed", "cast", "labels", "top two"],
)
def test_scores_lie_before_what_chooses_from_them(
    nodes: list[NodeProto], outputs: dict[str, tuple[int, list[int | str] | None]]
) -> None:
    scores = score_tensor(head(*nodes, outputs=outputs))

    assert (scores.name, scores.shape, scores.dtype, scores.given) == ("y", ("N", 4), "float32", False)


def test_scores_that_are_given_with_their_argmax_are_those(classifier: Classifier) -> None:
    scores = score_tensor(head(ARGMAX, outputs={"best": (INT64, ["N", 1]), "y": (FLOAT, ["N", 4])}))

    assert (scores.name, scores.output, scores.given) == ("y", "y", True)


def test_an_output_that_is_no_list_of_scores_leaves_one() -> None:
    model = head(outputs={"x": (FLOAT, ["N", 4, 8, 8]), "y": (FLOAT, ["N", 4])})

    assert score_tensor(model).name == "y"


def test_of_several_the_one_that_is_asked_for_is_taken() -> None:
    model = head(outputs={"p": (FLOAT, ["N", 4, 1, 1]), "y": (FLOAT, ["N", 4])})

    assert [tensor.name for tensor in score_tensors(model)] == ["p", "y"]
    assert score_tensor(model, asked_for="y").name == "y"
    model.metadata_props.add(key=SCORE_OUTPUT, value="p")
    assert score_tensor(model).name == "p"
    assert score_tensor(model, asked_for="y").name == "y"
    with pytest.raises(ModelError, match="'z' is no output of class scores"):
        score_tensor(model, asked_for="z")


@pytest.mark.parametrize("shape", [["N"], [2], ["N", 1], ["N", 1, 1, 1]])
def test_one_score_may_have_no_dimension_but_the_batch(shape: list[int | str]) -> None:
    model = head(
        helper.make_node("ReduceMax", ["y"], ["z"], axes=[1], keepdims=0),
        outputs={"z": (FLOAT, shape)},
        image=[2, 4, 8, 8],
    )

    assert score_tensor(model).classes == 1


def test_a_list_without_a_batch_is_no_score_of_each_image() -> None:
    model = head(
        helper.make_node("ReduceMax", ["y"], ["z"], axes=[0], keepdims=0),
        outputs={"z": (FLOAT, [4])},
        image=[2, 4, 8, 8],
    )

    assert not score_tensors(model)


def test_a_choice_among_images_is_none_among_classes() -> None:
    model = head(helper.make_node("ArgMax", ["y"], ["best"], axis=0), outputs={"best": (INT64, [1, 4])})

    assert not [tensor for tensor in score_tensors(model) if not tensor.given]
