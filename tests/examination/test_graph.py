from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.errors import ModelError
from quantize.examination.findings import Examination
from quantize.examination.graph import examine_batch, examine_format, examine_scores
from quantize.models.contract import ModelContract, TensorContract
from quantize.models.refusals import refuse_unsuitable
from quantize.run.taken import taken_model
from tests.engines.native.search.conftest import classifier_graph
from tests.run.test_given_forms import quantized_in_one_place


def _model(*nodes: NodeProto, weights: np.ndarray | None = None) -> ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in ("image", "scores")]
    constants = [] if weights is None else [numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph(
        nodes or [helper.make_node("Identity", ["image"], ["scores"])], "g", values[:1], values[1:], constants
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _contract(*, batch: int | str = "N", scores: str = "logits") -> ModelContract:
    image, out = (
        TensorContract("image", (batch, 3, 8, 8), "float32"),
        TensorContract("scores", (batch, 3), "float32"),
    )
    return ModelContract(input=image, output=out, classes=3, scores=scores)  # type: ignore[arg-type]


def _finding(examination: Examination) -> str:
    (finding,) = examination.findings
    return f"{finding.severity}: {finding.what} {finding.evidence}"


def test_a_model_that_tuning_refuses_is_told_with_the_same_error() -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "w"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "w"], ["scores"]),
    ]
    model = _model(*nodes, weights=np.array(1, np.float32))
    with pytest.raises(ModelError) as refused:
        refuse_unsuitable(taken_model(model, where="m.onnx", requantize=False).model, "m.onnx")
    examination = examine_format(model, "m.onnx")
    assert examination.check.outcome == "wrong"
    assert refused.value.problem in _finding(examination)
    assert "1 QuantizeLinear" in _finding(examination)


def test_an_fp32_classifier_is_right() -> None:
    assert examine_format(classifier_graph(), "m.onnx").check.text == "fp32"


@pytest.mark.parametrize("between", [[], ["Identity"], ["Flatten", "Cast"]])
def test_two_softmaxes_are_found_through_what_only_moves_values(between: list[str]) -> None:
    names = ["image", "first", *(f"moved{n}" for n in range(len(between))), "scores"]
    ops = ["Softmax", *between, "Softmax"]
    nodes = [
        helper.make_node(op, [names[n]], [names[n + 1]], f"node{n}", **({"to": 1} if op == "Cast" else {}))
        for n, op in enumerate(ops)
    ]
    examination = examine_scores(_model(*nodes), _contract(scores="softmax"))
    assert examination.check.text == "2 softmaxes"
    assert f"node0, node{len(ops) - 1}" in _finding(examination)


def test_a_softmax_before_other_arithmetic_does_not_make_the_scores() -> None:
    nodes = [
        helper.make_node("Softmax", ["image"], ["attention"]),
        helper.make_node("Relu", ["attention"], ["r"]),
        helper.make_node("Softmax", ["r"], ["scores"]),
    ]
    assert examine_scores(_model(*nodes), _contract(scores="softmax")).check.outcome == "right"


def test_only_a_batch_of_several_images_is_worth_a_note() -> None:
    assert examine_batch(_contract()).findings == examine_batch(_contract(batch=1)).findings == ()
    assert "exactly 4 images" in _finding(examine_batch(_contract(batch=4)))


def test_a_model_quantized_in_places_is_right_for_engines_that_keep_it_or_where_it_is_requantized() -> None:
    model = quantized_in_one_place()
    assert examine_format(model, "m.onnx", engines=("native",)).check.text == "quantized (qdq), in places: kept"
    refused = examine_format(model, "m.onnx", engines=("ort",))
    assert "cannot keep the grids" in refused.findings[0].what
    again = examine_format(model, "m.onnx", requantize=True, engines=("ort",))
    assert again.check.text == "quantized (qdq), taken back to float"
