from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper

from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.contract import model_contract, score_kind

Classifier = Callable[..., ModelProto]


@pytest.mark.parametrize("shape", [["N", 4], [1, 4, 1, 1], ["N", 1, 1, 4], [None, 4, 1]])
def test_scores_of_any_shape_that_squeezes_have_their_classes(
    classifier: Classifier, shape: list[int | str | None]
) -> None:
    contract = model_contract(classifier(scores=shape))

    assert contract.classes == 4
    assert contract.output.shape == tuple(shape)


def test_the_input_says_its_batch_and_size(classifier: Classifier) -> None:
    fixed = model_contract(classifier(image=[2, 3, 8, 9]))
    free = model_contract(classifier(image=["N", 3, None, None]))

    assert (fixed.fixed_batch, fixed.image_size, fixed.input.dtype) == (2, (8, 9), "float32")
    assert (free.fixed_batch, free.image_size) == (None, None)


def test_one_known_side_is_both_for_images_are_square(classifier: Classifier) -> None:
    assert model_contract(classifier(image=["N", 3, "H", 8])).image_size == (8, 8)


@pytest.mark.parametrize(
    ("shape", "layout", "channels"),
    [
        (["N", 1, 28, 28], "NCHW", 1),
        (["N", 28, 28, 1], "NHWC", 1),
        (["N", 3, 3, 3], "NCHW", 3),
        (["N", "C", "H", "W"], "NCHW", 3),
    ],
)
def test_the_channels_are_three_or_one_and_where_nothing_is_said_the_first_convs(
    classifier: Classifier, shape: list[int | str | None], layout: str, channels: int
) -> None:
    contract = model_contract(classifier(image=shape))

    assert (contract.input_layout, contract.channels) == (layout, channels)


def test_a_quantized_models_byte_input_with_channels_last_has_a_contract(classifier: Classifier) -> None:
    model = classifier()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 8, 9, 3]))
    contract = model_contract(model)

    assert (contract.input.dtype, contract.input_layout, contract.image_size) == ("uint8", "NHWC", (8, 9))


def test_weights_that_are_also_inputs_are_not_images(classifier: Classifier) -> None:
    model = classifier()
    weight = model.graph.initializer[0]
    model.graph.input.insert(0, helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))

    assert model_contract(model).input.name == "image"


def head(*nodes: NodeProto) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
    )
    return helper.make_model(graph)


@pytest.mark.parametrize(
    ("nodes", "kind"),
    [
        ([helper.make_node("Softmax", ["x"], ["y"])], "softmax"),
        ([helper.make_node("Relu", ["x"], ["y"])], "logits"),
        ([helper.make_node("LogSoftmax", ["x"], ["y"])], "logits"),
        ([helper.make_node("Softmax", ["x"], ["s"]), helper.make_node("Flatten", ["s"], ["y"])], "softmax"),
        (
            [
                helper.make_node("QLinearSoftmax", ["x"], ["q"], domain="com.microsoft"),
                helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
            ],
            "softmax",
        ),
        (
            [
                helper.make_node("Exp", ["x"], ["e"]),
                helper.make_node("ReduceSum", ["e"], ["s"]),
                helper.make_node("Div", ["e", "s"], ["y"]),
            ],
            "softmax",
        ),
        ([helper.make_node("Div", ["x", "x"], ["y"])], "logits"),
    ],
)
def test_the_kind_of_scores_is_read_from_the_graphs_end(nodes: list[NodeProto], kind: str) -> None:
    assert score_kind(head(*nodes)) == kind


def test_the_contract_of_a_saved_model_is_loaded_with_it(classifier: Classifier, tmp_path: Path) -> None:
    artifact = save_model(classifier(), tmp_path / "folder" / "model.onnx")

    assert ModelArtifact.load(artifact.path) == artifact
    assert artifact.contract.scores == "softmax"
    assert artifact.bytes == artifact.path.stat().st_size
    assert artifact.opset == 13
