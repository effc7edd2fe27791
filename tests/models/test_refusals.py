from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from quantize.errors import ModelError
from quantize.models.prepare import prepare

Classifier = Callable[..., ModelProto]
Saved = Callable[[ModelProto], Path]


def refusal(model: ModelProto, saved: Saved) -> str:
    source = saved(model)
    with pytest.raises(ModelError) as error:
        prepare(source, source.with_name("prepared.onnx"))
    assert not source.with_name("prepared.onnx").exists()
    assert error.value.where is not None
    return str(error.value)


def node(op_type: str, inputs: list[str], **attributes: object) -> NodeProto:
    return helper.make_node(op_type, inputs, ["last"], **attributes)


def bare(node: NodeProto, image: list[int], scores: list[int], types: tuple[int, int] = (1, 1)) -> ModelProto:
    graph = helper.make_graph(
        [node],
        "bare",
        [helper.make_tensor_value_info("image", types[0], image)],
        [helper.make_tensor_value_info("scores", types[1], scores)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


def test_an_image_in_bfloat16_is_refused_with_what_to_do(classifier: Classifier, saved: Saved) -> None:
    model = classifier()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.BFLOAT16

    assert "bfloat16" in refusal(model, saved)


@pytest.mark.parametrize("operator", ["DynamicQuantizeLinear", "QLinearConv", "ConvInteger", "QLinearAdd"])
def test_a_quantized_model_is_refused(classifier: Classifier, saved: Saved, operator: str) -> None:
    assert "quantized already" in refusal(classifier([node(operator, ["features"])]), saved)


def test_training_mode_of_batch_normalization_is_refused(classifier: Classifier, saved: Saved) -> None:
    ones = {name: np.ones(4, np.float32) for name in ("scale", "shift", "mean", "var")}
    body = helper.make_node(
        "BatchNormalization", ["features", *ones], ["last", "m", "v"], training_mode=1, name="normalize"
    )

    assert "normalize" in refusal(classifier([body], ones, opset=14), saved)


def test_training_mode_of_dropout_is_refused(classifier: Classifier, saved: Saved) -> None:
    constants = {"ratio": np.array(0.5, np.float32), "training": np.array(True)}

    assert "training mode" in refusal(classifier([node("Dropout", ["features", *constants])], constants), saved)


@pytest.mark.parametrize("seed", [{}, {"seed": 1.0}], ids=["", "seeded"])
def test_what_draws_at_random_is_refused(classifier: Classifier, saved: Saved, seed: dict[str, float]) -> None:
    noise = helper.make_node("RandomNormalLike", ["features"], ["last"], "noise", **seed)

    assert "node 'noise' (RandomNormalLike)" in refusal(classifier([noise]), saved)


def test_what_draws_at_random_in_a_branch_that_is_never_taken_is_no_reason(
    classifier: Classifier, saved: Saved
) -> None:
    noisy, plain = (
        helper.make_graph([helper.make_node(op_type, ["features"], [name], name)], name, [], [_any_floats(name)])
        for op_type, name in (("RandomNormalLike", "noise"), ("Relu", "positive"))
    )
    choice = helper.make_node("If", ["training"], ["last"], "choice", then_branch=noisy, else_branch=plain)
    assert "noise" in refusal(classifier([choice], {"training": np.array(True)}), saved)
    source = saved(classifier([choice], {"training": np.array(False)}))

    model = prepare(source, source.with_name("prepared.onnx")).proto()

    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "GlobalAveragePool", "Softmax"]


def _any_floats(name: str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def test_dropout_with_training_switched_off_is_taken(classifier: Classifier, saved: Saved) -> None:
    constants = {"ratio": np.array(0.5, np.float32), "training": np.array(False)}
    source = saved(classifier([node("Dropout", ["features", *constants])], constants))

    model = prepare(source, source.with_name("prepared.onnx")).proto()

    assert [node.op_type for node in model.graph.node] == ["Conv", "GlobalAveragePool", "Softmax"]


def test_two_images_are_refused(classifier: Classifier, saved: Saved) -> None:
    model = classifier([node("Add", ["features", "other"])])
    model.graph.input.append(helper.make_tensor_value_info("other", 1, ["N", 4, 6, 6]))

    assert "image, other" in refusal(model, saved)


def test_two_outputs_that_can_be_scores_are_refused(classifier: Classifier, saved: Saved) -> None:
    model = classifier()
    model.graph.output.append(helper.make_tensor_value_info("pooled", 1, ["N", 4, 1, 1]))

    told = refusal(model, saved)
    assert "scores float32[N, 4, 1, 1]; pooled float32[N, 4, 1, 1]" in told
    assert "--score_output scores" in told


def test_two_channels_are_refused(saved: Saved) -> None:
    model = bare(helper.make_node("Flatten", ["image"], ["scores"]), [1, 2, 8, 8], [1, 128])

    assert "three colour channels, or of one" in refusal(model, saved)


def test_an_input_that_is_no_image_is_refused(saved: Saved) -> None:
    model = bare(helper.make_node("Identity", ["image"], ["scores"]), [1, 64], [1, 64])

    assert "not an image" in refusal(model, saved)


def test_an_input_of_bytes_is_refused(saved: Saved) -> None:
    model = bare(helper.make_node("Cast", ["image"], ["scores"], to=1), [1, 3, 8, 1], [1, 3, 8, 1], (2, 1))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("scores", 1, [1, 24, 1, 1]))

    assert "uint8" in refusal(model, saved)


def test_class_numbers_instead_of_scores_are_refused(classifier: Classifier, saved: Saved) -> None:
    model = classifier(
        [
            helper.make_node("GlobalAveragePool", ["features"], ["means"]),
            helper.make_node("ArgMax", ["means"], ["top"]),
        ],
        head=False,
        output="top",
        output_type=TensorProto.INT64,
        scores=[1, 4, 1, 1],
    )

    assert "int64" in refusal(model, saved)


@pytest.mark.parametrize("shape", [["N", 4, 6, 6], [4], ["N", 1]])
def test_an_output_that_is_no_list_of_scores_is_refused(
    classifier: Classifier, saved: Saved, shape: list[int | str]
) -> None:
    reason = refusal(classifier(head=False, output="features", scores=shape), saved)

    assert "class" in reason


def test_a_sequence_output_is_refused(classifier: Classifier, saved: Saved) -> None:
    model = classifier([helper.make_node("SequenceConstruct", ["features"], ["list"])], head=False, output="list")
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("list", 1, None))

    assert "sequence" in refusal(model, saved)


def test_an_operator_that_onnxruntime_does_not_have_is_named(classifier: Classifier, saved: Saved) -> None:
    body = helper.make_node("Sharpen", ["features"], ["last"], domain="com.example")
    model = classifier([body], opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("com.example", 1)])

    assert "Sharpen" in refusal(model, saved)


def test_an_image_size_that_the_model_does_not_take_is_reported(classifier: Classifier, saved: Saved) -> None:
    dense = {"d": np.ones((4 * 36, 5), np.float32)}
    body = [helper.make_node("Flatten", ["features"], ["flat"]), helper.make_node("MatMul", ["flat", "d"], ["scores"])]

    model = classifier(body, dense, head=False, image=["N", 3, "height", "width"], scores=["N", 5])

    assert "224x224" in refusal(model, saved)


def test_opset_two_is_refused(classifier: Classifier, saved: Saved) -> None:
    assert "opset 2" in refusal(classifier(opset=2), saved)


def test_a_weight_of_the_wrong_shape_is_reported(classifier: Classifier, saved: Saved) -> None:
    model = classifier()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((4, 5, 3, 3), np.float32), "w"))

    assert "source.onnx" in refusal(model, saved)
