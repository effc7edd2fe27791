"""Models that compute nothing on integers say why, in the report, on stderr and in the files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from quantize.config import load_config
from quantize.graph.nodes import WEIGHTED
from quantize.recipe import Recipe
from quantize.report.search import CandidateSection
from quantize.run.build import Built
from quantize.run.no_integers import _of_search, reasons_for_no_integers
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.settle import Settled
from quantize.run.tune import tune
from tests.run.conftest import Configured

_FLOAT = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}


@pytest.mark.usefixtures("brief", "fast_integers")
def test_layers_that_the_settings_keep_in_float_are_named_in_report_log_and_files(
    colour_model: Path, configured: Configured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {
        "quantization.optype_wise": dict.fromkeys(("Conv", "Gemm", "MatMul"), _FLOAT),
        "tuning.engine": "native",
    }
    request = TuneRequest(configured(settings), input_model=colour_model, output_model=tmp_path / "run", workers=1)
    with caplog.at_level(logging.WARNING, "quantize"):
        report = tune(request).report
    (sentence,) = report.no_integers
    assert sentence.startswith("No layer computes on integers: ")
    assert "the settings keep it there" in sentence
    assert sentence in report.verdict.reasons
    assert sentence in caplog.messages
    assert sentence in (tmp_path / "run" / "report.md").read_text("utf-8")
    for path in (tmp_path / "run").glob("*.onnx"):
        facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        assert facts["quantize.no_integers"] == sentence


def test_a_model_that_computes_on_integers_has_no_such_reason(colour_run: TuneResult) -> None:
    assert colour_run.report.no_integers == ()


def _candidate(**found: object) -> CandidateSection:
    known = {"recipe_id": "r", "predicted_ns": None, "measured_ns": None, "trial": 0, "images": 4, "pareto": False}
    return CandidateSection.model_validate({"step": "ladder", "met": None, "speedup": None, **known, **found})


def test_what_became_of_candidates_on_integers_is_counted() -> None:
    words = _of_search(
        [
            _candidate(met=False),
            _candidate(),
            _candidate(met=True, speedup=0.8),
            _candidate(met=True, speedup=0.9),
        ]
    )
    assert words.startswith("of 4 candidates that do, 1 could not be built or run, 1 missed the accuracy criterion, ")
    assert words.endswith("2 measured at most 0.90x as fast as fp32")


def test_a_single_candidate_is_told_as_one() -> None:
    words = _of_search([_candidate(met=True, speedup=0.9)])
    assert words == "the one candidate that does measured at most 0.90x as fast as fp32"


def test_a_search_that_tried_none_says_so() -> None:
    assert _of_search([]).startswith("the search tried none")


@pytest.mark.parametrize("kept", ["float_nodes", "float_op_types"])
def test_candidates_that_are_in_float_throughout_are_not_counted(settled: Callable[..., Settled], kept: str) -> None:
    names = ("conv", "gemm") if kept == "float_nodes" else ("Conv", "Gemm")
    in_float = Recipe(engine="native", corrections=("bias",), **{kept: names})
    (reason,) = reasons_for_no_integers(settled(Recipe(engine="native"), in_float))
    assert (
        reason == "No layer computes on integers: the one candidate that does measured at most 0.80x as fast as fp32."
    )


@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "Flatten"])
def test_a_model_without_layers_says_so(settled: Callable[..., Settled], op_type: str) -> None:
    reasons = reasons_for_no_integers(settled(Recipe(engine="native"), nodes=[("only", op_type)]))
    assert reasons == ("No layer computes on integers: it has no convolution or matrix product.",)


def _takes(name: str, op_type: str) -> list[str]:
    return [f"{name}_in", f"{name}_by"] if op_type in WEIGHTED else [f"{name}_in"]


@pytest.fixture
def settled() -> Callable[..., Settled]:
    """Return what makes a run of some trials, the first at 0.80x and each next one 0.1x faster, that ends in fp32."""

    def made(*recipes: Recipe, nodes: Sequence[tuple[str, str]] = (("conv", "Conv"), ("gemm", "Gemm"))) -> Settled:
        values = [
            onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, None)
            for name, _ in nodes
            for value in (f"{name}_in", f"{name}_by", name)
        ]
        made = [onnx.helper.make_node(kind, _takes(name, kind), [name], name) for name, kind in nodes]
        inputs = [value for value in values if value.name not in dict(nodes)]
        outputs = [value for value in values if value.name in dict(nodes)]
        model = onnx.helper.make_model(onnx.helper.make_graph(made, "g", inputs, outputs))
        trials = [SimpleNamespace(recipe=recipe) for recipe in recipes]
        candidates = [
            _candidate(met=True, speedup=0.8 + number / 10, recipe_id=recipe.id)
            for number, recipe in enumerate(recipes)
        ]
        context: Any = SimpleNamespace(model=SimpleNamespace(proto=lambda: model), config=load_config(None, {}))
        findings: Any = SimpleNamespace(trials=trials, search=SimpleNamespace(candidates=candidates))
        built: Any = Built(context, findings, SimpleNamespace(qlinear=model), SimpleNamespace(recipe=recipes[0]), None)  # type: ignore[arg-type]
        nothing: Any = None
        return Settled(built, nothing)

    return made
