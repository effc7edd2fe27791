"""What is foreseen of operators, and a trial of building."""

from __future__ import annotations

from pathlib import Path

import pytest

import quantize.examination.operators as examined
from quantize.engines.foreseen import Foreseen, foreseen
from quantize.engines.native.builder.builder import op_types_of
from quantize.errors import ModelError
from quantize.examination.operators import examine_building, examine_operators
from quantize.formats.float_reasons import float_reasons
from quantize.models.artifact import ModelArtifact
from quantize.recipe import Recipe
from tests.engines.native.search.conftest import batches, calibration_set, classifier_graph, images, model

RECIPE = Recipe(engine="native")
__all__ = ["batches", "images", "model"]


def _text(nodes: tuple[Foreseen, ...]) -> str:
    examination = examine_operators(nodes)
    return " ".join([examination.check.text, *(f"{f.what} {f.evidence}" for f in examination.findings)])


def test_every_operator_is_told_with_what_tuning_does_with_it() -> None:
    text = _text(foreseen(classifier_graph(), RECIPE))
    assert "on integers: " in text
    assert "Conv" in text.split("moved as integers")[0]
    assert "1 Concat" in text.split("moved as integers")[1]
    assert "no product follows" in text
    assert "cannot compute on integers" not in text


def test_an_operator_without_an_integer_form_is_a_note_that_says_why() -> None:
    graph = classifier_graph()
    relu = next(node for node in graph.graph.node if node.op_type == "Relu")
    relu.op_type = "Erf"
    text = _text(foreseen(graph, RECIPE))
    why = float_reasons(graph, op_types_of(RECIPE))[relu.name].in_words
    assert f"1 Erf: {why}" in text
    assert "cannot compute on integers here" in text


def test_what_the_settings_keep_in_float_is_told_as_that() -> None:
    nodes = foreseen(classifier_graph(), RECIPE.but(float_op_types=("Conv",)))
    assert "the settings keep it there" in _text(nodes)


def test_a_model_whose_layers_all_stay_in_float_is_told_why() -> None:
    nodes = foreseen(classifier_graph(), RECIPE.but(float_op_types=("Conv", "Gemm", "MatMul")))
    assert "No layer can compute on integers" in _text(nodes)


def test_a_model_that_is_built_in_both_formats_is_right(model: ModelArtifact, batches: list, tmp_path: Path) -> None:
    examination = examine_building(model, RECIPE, calibration_set(batches), tmp_path, threads=1)
    assert examination.check.outcome == "right", examination.findings
    assert "on integers" in examination.check.text


def test_what_tuning_would_end_with_is_said_in_advance(
    model: ModelArtifact, batches: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ModelError("this graph has no form", found="that", advice="give another one")

    monkeypatch.setattr(examined, "to_qlinear", refuse)
    examination = examine_building(model, RECIPE, calibration_set(batches), tmp_path, threads=1)
    (finding,) = examination.findings
    assert examination.check.outcome == "wrong"
    assert finding.what == "Tuning would fail: this graph has no form."
    assert finding.advice == "Give another one."
