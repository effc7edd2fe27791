"""The contract that every engine fulfils."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from quantize.engines import engine as seam
from quantize.engines.engine import BOTH, ENGINES, Engine, engine_named, engines_for, missing_engines
from quantize.engines.placement.placed_model import int8_layers
from quantize.engines.task import CalibrationSet
from quantize.engines.trial import Failure, Trial, trial_of
from quantize.errors import EngineError
from quantize.formats import quantized_format
from quantize.models.artifact import ModelArtifact
from quantize.recipe import EngineName, Recipe
from tests.engines.conftest import Tasked


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return each engine that is installed."""
    named = engine_named(request.param)
    if request.param in missing_engines():
        pytest.skip(f"{named.in_words} is not installed")
    return named


def test_an_engine_is_found_by_its_name(engine: Engine) -> None:
    assert engine.name in ENGINES
    assert engine_named(engine.name) is engine
    assert engine.title
    assert engine.in_words


def test_a_search_gives_trials_and_an_outcome_and_the_recipe_builds_the_same_model_again(
    engine: Engine, task: Tasked, calibration: CalibrationSet, tmp_path: Path
) -> None:
    if engine.name == "native":
        pytest.skip("its search measures times: tests/engines/native/search")
    given = task()
    search = engine.search(given)
    trials = list(search.trials())
    assert all(trial.recipe.engine == engine.name for trial in trials)
    outcome = search.outcome(trials, 1.0)
    chosen = outcome.chosen
    assert chosen.artifact is not None
    assert quantized_format(chosen.artifact.proto()) is not None
    assert outcome.stopped_because
    again = engine.build(given.model, chosen.recipe, calibration, tmp_path / "again")
    assert again.graph_sha256 == chosen.artifact.graph_sha256
    placed = search.placed(chosen)
    assert placed is not None
    assert (placed.mode, placed.trial, placed.options) == ("all-int8", chosen, ())
    assert placed.reason == f"as {engine.in_words} decided"


def test_a_plain_recipe_of_an_engine_is_judged_against_the_fp32_model(
    engine: Engine, small_model: ModelArtifact
) -> None:
    proto = small_model.proto()
    recipe = Recipe(engine=engine.name)
    assert {node.name for node in engine.reference(proto, recipe).graph.node} == {
        node.name for node in proto.graph.node
    }


@pytest.mark.parametrize("name", ["native", "ort"])
def test_the_share_of_int8_layers_is_what_a_recipe_does_not_keep_in_float(
    name: EngineName, small_model: ModelArtifact
) -> None:
    proto = small_model.proto()
    assert engine_named(name).int8_layers(Recipe(engine=name), proto) == (4, 4)
    assert engine_named(name).int8_layers(Recipe(engine=name, float_nodes=("left", "gap")), proto) == (3, 4)
    assert engine_named(name).int8_layers(Recipe(engine=name, float_op_types=("Conv",)), proto) == (0, 4)
    assert int8_layers(Recipe(engine=name, float_nodes=("left",)), proto, stay=("right",)) == (2, 4)


def test_all_is_every_engine_that_is_installed_and_both_is_always_the_same_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "neural_compressor" else spec(name))
    assert engines_for("all") == ("native", "ort")
    assert list(missing_engines()) == ["inc"]
    assert engines_for("both") == BOTH == ("inc", "native")
    assert engines_for("ort") == ("ort",)


def test_a_new_engine_is_a_folder_and_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(seam.importlib, "import_module", lambda name: asked.append(name) or pytest.skip)
    with pytest.raises(AttributeError):
        engine_named("another")  # type: ignore[arg-type]
    assert asked == ["quantize.engines.another.engine"]


def test_a_trial_needs_a_candidate_or_a_failure() -> None:
    with pytest.raises(ValueError, match="either"):
        Trial(0, Recipe(engine="inc"), None, 0.5, 1.0)


def test_a_trial_takes_no_nan_for_a_metric() -> None:
    with pytest.raises(ValueError, match="nan"):
        Trial(0, Recipe(engine="inc"), None, float("nan"), 1.0, Failure("evaluate", "it broke"))


def test_of_trials_without_a_choice_the_best_that_was_built_is_taken(small_model: ModelArtifact) -> None:
    failed = Trial(0, Recipe(engine="ort"), None, None, 1.0, Failure("quantize", "it broke"))
    worse = Trial(1, Recipe(engine="ort", range_rule="a"), small_model, 0.5, 1.0)
    better = Trial(2, Recipe(engine="ort", range_rule="b"), small_model, 0.6, 1.0)
    assert trial_of([failed, worse, better], None) is better
    assert trial_of([failed, worse, better], worse.recipe.id) is worse
    with pytest.raises(EngineError, match="quantize: it broke") as error:
        trial_of([failed], None)
    assert error.value.advice == "try another engine (--engine inc or native), and report it with the model"
