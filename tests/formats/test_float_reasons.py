from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from quantize.formats import integer_probe
from quantize.formats.float_reasons import float_reasons, sentences
from quantize.models.session import open_session

_TYPES = ("Add", "Clip", "Concat", "Conv", "Gemm", "LayerNormalization", "ReduceMean", "Relu", "Reshape", "Split")


def _model(nodes: list[NodeProto], constants: dict[str, Any] | None = None, opset: int = 13) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 6, 6])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def _kinds(model: ModelProto, **settings: Any) -> dict[str, str]:
    return {name: reason.kind for name, reason in float_reasons(model, _TYPES, **settings).items()}


def test_what_has_a_kernel_and_a_form_has_no_reason_to_stay_in_float() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv", group=2),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Clip", ["b", "low", "high"], ["c"], "clip"),
        helper.make_node("Split", ["c"], ["d", "e"], "split", axis=1),
        helper.make_node("Concat", ["d", "e"], ["f"], "concat", axis=1),
        helper.make_node("Add", ["f", "map"], ["g"], "add"),
        helper.make_node("Reshape", ["g", "rows"], ["h"], "reshape"),
        helper.make_node("Gemm", ["h", "matrix", "bias"], ["y"], "gemm", transB=1),
    ]
    zeros = {"w": (64, 2, 3, 3), "map": (1, 64, 4, 4), "matrix": (10, 1024), "bias": (10,)}
    constants: dict[str, Any] = {name: np.zeros(shape, np.float32) for name, shape in zeros.items()}
    bounds = {"low": np.float32(0), "high": np.float32(6), "rows": np.array([0, -1])}
    assert _kinds(_model(nodes, constants | bounds)) == {}


def test_a_node_stays_in_float_where_onnxruntime_has_no_kernel_for_what_it_would_become() -> None:
    model = _model([helper.make_node("ReduceMean", ["x"], ["y"], "mean", axes=[2, 3])])
    reason = float_reasons(model, _TYPES)["mean"]
    assert (reason.kind, reason.detail) == ("kernel", "QLinearReduceMean")
    assert "onnxruntime has no integer kernel" in reason.in_words


@pytest.mark.parametrize(
    ("weights", "found"), [("int8", {"product": "kernel"}), ("uint8", {})], ids=["int8 by uint8", "uint8 by uint8"]
)
def test_a_constant_on_the_left_of_a_product_has_the_type_of_weights(weights: str, found: dict[str, str]) -> None:
    model = _model([helper.make_node("MatMul", ["w", "x"], ["y"], "product")], {"w": np.zeros((5, 6), np.float32)})
    reasons = float_reasons(model, ("MatMul",), weight_type=weights)
    assert {name: reason.kind for name, reason in reasons.items()} == found


def test_only_constants_with_a_grid_of_their_own_can_be_too_near_to_zero() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "bias"], ["a"], "conv"),
        helper.make_node("Clip", ["a", "low", "high"], ["b"], "clip"),
        helper.make_node("Add", ["b", "map"], ["y"], "add"),
    ]
    constants: dict[str, Any] = {
        "w": np.ones((4, 4, 3, 3), np.float32),
        "bias": np.full(4, 1e-36, np.float32),
        "low": np.finfo(np.float32).tiny,
        "high": np.float32(6),
        "map": np.ones((1, 4, 4, 4), np.float32),
    }
    assert _kinds(_model(nodes, constants)) == {}
    constants["map"] *= np.float32(1e-36)
    assert float_reasons(_model(nodes, constants), _TYPES)["add"].detail == "map is too near to 0 for a grid"
    constants["map"] = np.ones((1, 4, 4, 4), np.float32)
    constants["w"][0] = np.nan
    assert _kinds(_model(nodes, constants)) == {}, "that weights are not finite is told of the model"


def test_what_a_mask_of_minus_infinity_reaches_stays_in_float_up_to_what_is_bounded() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "relu"),
        helper.make_node("Add", ["a", "mask"], ["b"], "masked"),
        helper.make_node("Reshape", ["b", "rows"], ["c"], "flat"),
        helper.make_node("Softmax", ["c"], ["d"], "softmax", axis=-1),
        helper.make_node("Gemm", ["d", "matrix"], ["y"], "gemm"),
    ]
    mask = np.zeros((1, 4, 6, 6), np.float32)
    mask[..., 3:] = -np.inf
    constants = {"mask": mask, "rows": np.array([0, -1]), "matrix": np.zeros((144, 10), np.float32)}
    reasons = float_reasons(_model(nodes, constants), (*_TYPES, "Softmax"))
    assert {name: reason.kind for name, reason in reasons.items()} == {
        "masked": "form",
        "flat": "form",
        "softmax": "form",
    }
    assert reasons["softmax"].detail == "c may be infinite"


def test_a_type_that_no_engine_quantizes_stays_in_float() -> None:
    model = _model([helper.make_node("Erf", ["x"], ["y"], "erf")])
    assert _kinds(model) == {"erf": "operator"}


def test_a_type_that_no_engine_quantizes_though_it_could_is_told_apart() -> None:
    model = _model([helper.make_node("GlobalMaxPool", ["x"], ["y"], "most")])
    assert _kinds(model) == {"most": "engine"}
    assert float_reasons(model, ["GlobalMaxPool"]) == {}
    mean = _model([helper.make_node("ReduceMean", ["x"], ["y"], "mean", axes=[2, 3])])
    assert float_reasons(mean, [])["mean"].kind == "kernel"


def test_a_type_that_an_engine_would_quantize_but_nothing_computes_on_integers_stays_in_float() -> None:
    model = _model(
        [helper.make_node("LayerNormalization", ["x", "s"], ["y"], "norm")], {"s": np.ones(6, np.float32)}, 17
    )
    assert _kinds(model) == {"norm": "operator"}


@pytest.mark.parametrize("attributes", [{"beta": 0.5}, {"transA": 1}])
def test_a_form_without_integer_counterpart_stays_in_float(attributes: dict[str, Any]) -> None:
    nodes = [
        helper.make_node("Flatten", ["x"], ["rows"], "flatten"),
        helper.make_node("Gemm", ["rows", "w", "b"], ["y"], "gemm", **attributes),
    ]
    constants = {"w": np.zeros((144, 10), np.float32), "b": np.zeros(10, np.float32)}
    assert _kinds(_model(nodes, constants))["gemm"] == "form"


@pytest.mark.parametrize(("scale", "kinds"), [(1e-30, {}), (0.0, {}), (1e-36, {"add": "form"})])
def test_a_constant_that_no_grid_can_hold_keeps_its_node_in_float(scale: float, kinds: dict[str, str]) -> None:
    model = _model([helper.make_node("Add", ["x", "s"], ["y"], "add")], {"s": np.array(scale, np.float32)})
    assert _kinds(model) == kinds


def test_a_node_whose_tensor_was_never_seen_stays_in_float_and_says_which() -> None:
    model = _model([helper.make_node("Split", ["x"], ["y", "z"], "split", axis=1)])
    assert _kinds(model, known={"x", "y", "z"}) == {}
    reason = float_reasons(model, _TYPES, known={"x", "y"})["split"]
    assert (reason.kind, reason.detail) == ("statistics", "z")


def test_a_node_with_a_body_stays_in_float_and_what_computes_shapes_is_not_asked() -> None:
    then, other = (
        helper.make_graph(
            [helper.make_node(op_type, ["x"], [op_type])],
            op_type,
            [],
            [helper.make_tensor_value_info(op_type, TensorProto.FLOAT, None)],
        )
        for op_type in ("Relu", "Neg")
    )
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], "shape"),
        helper.make_node("Gather", ["shape", "one"], ["size"], "gather"),
        helper.make_node("Equal", ["size", "one"], ["is_one"], "equal"),
        helper.make_node("If", ["is_one"], ["y"], "if", then_branch=then, else_branch=other),
    ]
    assert _kinds(_model(nodes, {"one": np.array(1)})) == {"if": "body"}


def test_onnxruntime_is_asked_once_for_nodes_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def counted(*args: Any, **settings: Any) -> InferenceSession:
        opened.append(args)
        return open_session(*args, **settings)

    monkeypatch.setattr(integer_probe, "open_session", counted)
    integer_probe._asked.cache_clear()
    weights = {f"w{at}": np.full((4, 4, 1, 1), at, np.float32) for at in range(5)}
    names = ["x", "a", "b", "c", "d", "y"]
    nodes = [helper.make_node("Conv", [names[at], f"w{at}"], [names[at + 1]], f"conv{at}") for at in range(5)]
    assert _kinds(_model(nodes, weights)) == {}
    assert len(opened) == 1


def test_the_sentences_count_nodes_of_a_type_and_a_reason() -> None:
    nodes = [
        helper.make_node("Erf", ["x"], ["a"], "first"),
        helper.make_node("Erf", ["a"], ["b"], "second"),
        helper.make_node("ReduceMean", ["b"], ["y"], "mean", axes=[2, 3]),
    ]
    assert sentences(float_reasons(_model(nodes), _TYPES)) == [
        "2 Erf stay in float: no integer form of the operator",
        "1 ReduceMean stays in float: this onnxruntime has no integer kernel for it (QLinearReduceMean)",
    ]
