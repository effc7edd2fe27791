"""Every layer with weights that the files compute in float has a note with the reason, whatever put it there."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.config import load_config
from quantize.formats import to_qlinear
from quantize.formats.float_reasons import FloatReason
from quantize.recipe import Recipe
from quantize.run.build import Built, Step
from quantize.run.float_layers import layers_in_float, operators_in_float

_FLOAT = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}
_PLACED = SimpleNamespace(reason="layers that measure slower in int8 here compute in float")

Noted = Callable[..., tuple[str, ...]]


@pytest.fixture(scope="module")
def model() -> ModelProto:
    """Return two Convs and a Gemm."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "first"),
        helper.make_node("Conv", ["a", "w2"], ["b"], "second"),
        helper.make_node("Flatten", ["b"], ["c"], "flat"),
        helper.make_node("Gemm", ["c", "w3"], ["y"], "last"),
    ]
    shapes = {"w1": (3, 3, 1, 1), "w2": (3, 3, 1, 1), "w3": (12, 4)}
    constants = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()]
    value = helper.make_tensor_value_info
    x, y = value("x", TensorProto.FLOAT, ["N", 3, 2, 2]), value("y", TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph(nodes, "small", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture
def noted(model: ModelProto) -> Noted:
    """Return what gives the notes of a run whose files are all in float, whatever its recipe says."""

    def notes(
        recipe: Recipe | None = None,
        *,
        stay: dict[str, FloatReason] | None = None,
        wrong: tuple[str, ...] = (),
        settings: dict[str, object] | None = None,
        trials: tuple[object, ...] = (),
        chosen: int = 0,
        search: object = None,
        placement: Any = None,
        qlinear: ModelProto = model,
    ) -> tuple[str, ...]:
        config = load_config(None, settings or {})
        context: Any = SimpleNamespace(model=SimpleNamespace(proto=lambda: model), config=config)
        findings: Any = SimpleNamespace(trials=trials, chosen=SimpleNamespace(index=chosen), search=search)
        parts: Any = SimpleNamespace(qlinear=qlinear)
        own: Any = SimpleNamespace(recipe=recipe or Recipe(engine="ort"))
        check: Any = SimpleNamespace(to_float=[SimpleNamespace(layer=name) for name in wrong])
        built = Built(context, findings, parts, own, None, layer_check=check, stay=stay or {})  # type: ignore[arg-type]
        return layers_in_float(built, placement)

    return notes


def _trial(index: int, *, failed: bool) -> SimpleNamespace:
    return SimpleNamespace(index=index, failure="no kernel" if failed else None, repeats=None)


def test_layers_that_cannot_compute_on_integers_say_why(noted: Noted) -> None:
    stay = {name: FloatReason(name, "Conv", "kernel", "QLinearConv") for name in ("first", "second")}
    assert noted(stay=stay)[0] == ("2 Conv stay in float: this onnxruntime has no integer kernel for it (QLinearConv).")


def test_no_layer_is_without_a_reason(noted: Noted) -> None:
    left = "left there with onnxruntime"
    assert noted() == (f"2 Conv stay in float: {left}.", f"1 Gemm stays in float: {left}.")


@pytest.mark.parametrize(("key", "pattern"), [("op_wise", "la.*"), ("optype_wise", "Gemm")])
def test_what_the_settings_keep_in_float_is_told_as_that(noted: Noted, key: str, pattern: str) -> None:
    notes = noted(settings={f"quantization.{key}": {pattern: _FLOAT}})
    assert notes[1] == "1 Gemm stays in float: the settings keep it there."


def test_what_was_placed_by_time_has_the_placements_reason(noted: Noted) -> None:
    recipe = Recipe(engine="inc", float_nodes=("first",), details=(("placed", json.dumps(["first"])),))
    assert noted(recipe, placement=_PLACED)[0] == (
        "1 Conv stays in float: layers that measure slower in int8 here compute in float."
    )


def test_what_is_wrong_in_int8_and_what_leads_to_it_are_told_apart(noted: Noted) -> None:
    first, second, last = noted(Recipe(engine="ort", float_nodes=("last",)), wrong=("second",))
    assert first == "1 Conv stays in float: a layer that takes its values cannot be held to its int8 grids."
    assert second == "1 Conv stays in float: its values in int8 are not what its grids predict."
    assert last == "1 Gemm stays in float: left there with onnxruntime."


def test_what_an_engine_put_back_tells_what_became_of_the_candidates_before(noted: Noted) -> None:
    trials = (_trial(0, failed=True), _trial(1, failed=False), _trial(2, failed=False))
    (_, last) = noted(Recipe(engine="inc"), trials=trials, chosen=2)
    assert last == (
        "1 Gemm stays in float: Neural Compressor put it back: of the candidates before, "
        "1 could not be built or run and 1 missed the criterion."
    )


def test_a_search_by_time_and_accuracy_is_named(noted: Noted) -> None:
    conv, other, _ = noted(Recipe(engine="native", float_nodes=("first",)), search=SimpleNamespace())
    assert conv == "1 Conv stays in float: the search chose so, by time and accuracy."
    # Its recipe has this one on integers: the search did not choose.
    assert other == "1 Conv stays in float: left there with the native engine."


def test_other_operators_are_told_as_before_tuning_but_for_what_a_rewrite_put_on_integers() -> None:
    value = helper.make_tensor_value_info

    def written(*nodes: NodeProto) -> ModelProto:
        x, y = value("x", TensorProto.FLOAT, ["N", 3, 2, 2]), value("y", TensorProto.FLOAT, ["N", 3, 1, 1])
        scale = [numpy_helper.from_array(np.float32(1), "s"), numpy_helper.from_array(np.uint8(0), "z")]
        graph = helper.make_graph(list(nodes), "g", [x], [y], scale)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])

    def quantized(name: str) -> list[NodeProto]:
        return [
            helper.make_node("QuantizeLinear", [name, "s", "z"], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", "s", "z"], [f"{name}_d"]),
        ]

    pool = helper.make_node("GlobalAveragePool", ["x"], ["pooled"], "pool")
    erf = helper.make_node("Erf", ["pooled"], ["y"], "erf")
    pool_on_integers = helper.make_node("GlobalAveragePool", ["x_d"], ["pooled"], "pool")
    erf_after_it = helper.make_node("Erf", ["pooled_d"], ["y"], "erf")
    bare, final = written(pool, erf), written(*quantized("x"), pool_on_integers, *quantized("pooled"), erf_after_it)
    stay = {
        "pool": FloatReason("pool", "GlobalAveragePool", "kernel", "QLinearGlobalAveragePool"),
        "erf": FloatReason("erf", "Erf", "operator"),
    }
    context: Any = SimpleNamespace(model=SimpleNamespace(proto=lambda: bare), config=load_config(None, {}))
    own: Any = SimpleNamespace(recipe=Recipe(engine="ort"))

    def notes(qlinear: ModelProto) -> tuple[str, ...]:
        files: Any = SimpleNamespace(qlinear=qlinear)
        built = Built(context, None, files, own, None, steps=(Step("bare", bare),), stay=stay)  # type: ignore[arg-type]
        return operators_in_float(built)

    of_erf = "1 Erf stays in float: no integer form of the operator."
    of_pool = f"1 GlobalAveragePool stays in float: {stay['pool'].in_words}."
    assert notes(bare) == (of_pool, of_erf)
    assert notes(to_qlinear(final, opset=14)) == (of_erf,)
