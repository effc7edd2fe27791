from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from quantize.formats import to_qdq
from quantize.graph.view import Graph
from quantize.models.contract import model_contract
from quantize.models.given_form import GivenForm
from quantize.models.input_form import in_form
from tests.models.conftest import Classifier, Scores

Images = NDArray[np.float32]

FLOAT, HALF, DOUBLE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE


@pytest.fixture
def pixels() -> Images:
    return np.random.default_rng(5).standard_normal((3, 3, 8, 8)).astype(np.float32)


def form(model: ModelProto, **changes: str | int) -> GivenForm:
    """Return a model's form with another layout, or other types."""
    outputs = {model.graph.output[0].name: int(changes.get("output", FLOAT))}
    return GivenForm("NHWC" if "layout" in changes else "NCHW", int(changes.get("input", FLOAT)), outputs)


def quantized(classifier: Classifier) -> ModelProto:
    """Return the classifier with its image quantized, and read as integers."""
    graph = Graph(classifier())
    scale, zero = graph.add_constant("s", np.array(0.03, np.float32)), graph.add_constant("z", np.array(128, np.uint8))
    graph.add("QuantizeLinear", ["image", scale, zero], ["integers"], name="q")
    graph.add("DequantizeLinear", ["integers", scale, zero], ["numbers"], name="d")
    conv = graph.node("conv")
    assert conv is not None
    graph.set_input(conv, 0, "numbers")
    return graph.model()


def test_a_model_of_the_same_form_is_returned_itself(classifier: Classifier) -> None:
    model = classifier()

    assert GivenForm.of(model, model_contract(model)).applied(model) is model


@pytest.mark.parametrize("changes", [{"layout": "NHWC"}, {"input": DOUBLE}, {"output": HALF}])
def test_layout_and_types_are_given_back_and_the_scores_stay(
    classifier: Classifier, run: Scores, pixels: Images, changes: dict[str, str | int]
) -> None:
    model = classifier()

    formed = form(model, **changes).applied(model)

    contract = model_contract(formed)
    assert GivenForm.of(formed, contract) == form(model, **changes)
    np.testing.assert_allclose(run(formed, in_form(contract, pixels)), run(model, pixels), atol=1e-3)


def test_of_a_quantized_image_the_integers_are_turned(classifier: Classifier, run: Scores, pixels: Images) -> None:
    model = quantized(classifier)

    formed = form(model, layout="NHWC").applied(model)

    assert [node.op_type for node in formed.graph.node][:3] == ["QuantizeLinear", "Transpose", "DequantizeLinear"]
    np.testing.assert_array_equal(run(formed, in_form(model_contract(formed), pixels)), run(model, pixels))
    assert to_qdq(formed, opset=13).graph.input[0] == formed.graph.input[0]


def test_the_input_of_an_input_contract_stays(classifier: Classifier) -> None:
    model = classifier()

    formed = form(model, layout="NHWC", input=HALF, output=HALF).applied(model, own_input=True)

    assert formed.graph.input[0] == model.graph.input[0]
    assert formed.graph.output[0].type.tensor_type.elem_type == HALF
