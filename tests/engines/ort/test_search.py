from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from quantize.criterion import Criterion
from quantize.engines.ort.engine import ENGINE
from quantize.engines.ort.quantizer import Quantizer
from quantize.engines.task import SearchTask
from quantize.engines.trial import SearchOutcome, Trial
from quantize.errors import EngineError, ModelError
from quantize.models.artifact import ModelArtifact
from tests.engines.conftest import Tasked

Judge = Callable[[ModelArtifact], float]
DEMANDING = Criterion("agreement", minimum=0.99)


def searched(task: SearchTask) -> tuple[list[Trial], SearchOutcome]:
    search = ENGINE.search(task)
    trials = [*task.earlier, *search.trials()]
    return trials, search.outcome(trials, 1.0)


def judged(task: SearchTask, judge: Judge) -> SearchTask:
    return replace(task, callbacks=replace(task.callbacks, evaluate=judge))


def float_layers_of(model: ModelArtifact) -> list[str]:
    constants = {tensor.name for tensor in model.proto().graph.initializer}
    return [node.name for node in model.proto().graph.node if node.op_type == "Conv" and node.input[1] in constants]


def needs_in_float(*names: str) -> Judge:
    """Return a judge whose metric rises with each of these layers that computes in float."""
    return lambda model: 0.5 + 0.5 * len(set(names) & set(float_layers_of(model))) / len(names)


def test_the_first_candidate_that_meets_the_criterion_ends_the_search(task: Tasked) -> None:
    trials, outcome = searched(task())
    (trial,) = trials
    assert outcome.chosen is trial
    assert outcome.stopped_because == "a candidate met the criterion"
    assert outcome.may_go_on
    assert outcome.peak_bytes is None or outcome.peak_bytes > 20e6


def test_where_no_setting_suffices_the_fewest_sensitive_layers_go_back_to_float(task: Tasked) -> None:
    given = judged(task(criterion=DEMANDING), needs_in_float("stem", "left", "right", "last"))
    trials, outcome = searched(given)
    rules = [trial.recipe.range_rule for trial in trials[:3]]
    assert rules == ["minmax", "percentile:99.999", "entropy"]
    assert [trial.recipe.symmetric_activations for trial in trials].count(True) == 1
    assert outcome.chosen.metric == 1.0
    assert set(float_layers_of(outcome.chosen.artifact)) == {"stem", "left", "right", "last"}  # type: ignore[arg-type]


def test_layers_that_suffice_are_found_by_doubling_and_halving(task: Tasked) -> None:
    asked: list[list[str]] = []

    def judge(model: ModelArtifact) -> float:
        asked.append(float_layers_of(model))
        return 1.0 if len(asked[-1]) >= 3 else 0.4 + 0.1 * len(asked[-1])

    _, outcome = searched(judged(task(criterion=DEMANDING), judge))
    assert outcome.chosen.artifact is not None
    in_float = len(float_layers_of(outcome.chosen.artifact))
    assert in_float == min(len(layers) for layers in asked if len(layers) >= 3)
    assert any(0 < len(layers) < 3 for layers in asked)


def test_a_timeout_goes_on_after_the_first_success_and_takes_the_best(task: Tasked) -> None:
    metrics = iter([0.6, 0.9, 0.7, 0.6, 0.6])
    given = judged(task({"tuning.exit_policy.timeout": 600}), lambda _: next(metrics))
    trials, outcome = searched(given)
    assert len(trials) > 3
    assert outcome.chosen.metric == 0.9
    assert not outcome.may_go_on
    assert outcome.others[0].metric == 0.7


def test_the_number_of_trials_and_the_time_are_bounded(task: Tasked) -> None:
    nothing = judged(task({"tuning.exit_policy.max_trials": 2}, criterion=DEMANDING), lambda _: 0.1)
    trials, outcome = searched(nothing)
    assert (len(trials), outcome.stopped_because) == (2, "the number of trials was used up")
    no_time = judged(task({"tuning.time_budget": "0.001s"}, criterion=DEMANDING), lambda _: 0.1)
    trials, outcome = searched(no_time)
    assert (len(trials), outcome.stopped_because) == (1, "the time budget was used up")


def test_a_failed_trial_is_data_and_the_search_goes_on(task: Tasked) -> None:
    answers: list[Any] = [ModelError("it cannot be run"), 1.0]

    def judge(_: ModelArtifact) -> float:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    trials, outcome = searched(judged(task(), judge))
    assert trials[0].failure is not None
    assert trials[0].failure.stage == "evaluate"
    assert outcome.chosen is trials[1]


def test_where_every_trial_fails_the_engine_failed(task: Tasked, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise EngineError("onnxruntime's quantizer failed")

    monkeypatch.setattr(Quantizer, "build", fails)
    with pytest.raises(EngineError, match="no trial gave a model"):
        searched(task())


def test_a_graph_that_was_tried_is_not_evaluated_again(task: Tasked) -> None:
    seen: list[str] = []

    def judge(model: ModelArtifact) -> float:
        seen.append(model.graph_sha256)
        return 0.1

    trials, _ = searched(judged(task({"tuning.exit_policy.max_trials": 12}, criterion=DEMANDING), judge))
    assert len(seen) == len(set(seen))
    graphs = [trial.artifact.graph_sha256 for trial in trials if trial.artifact is not None]
    assert [trial.repeats is None for trial in trials] == [graph not in graphs[:at] for at, graph in enumerate(graphs)]


def test_finished_trials_are_not_tried_again_and_the_end_is_the_same(task: Tasked) -> None:
    judge = needs_in_float("stem", "last")
    whole, unbroken = searched(judged(task(criterion=DEMANDING), judge))
    asked: list[str] = []

    def counting(model: ModelArtifact) -> float:
        asked.append(model.graph_sha256)
        return judge(model)

    trials, resumed = searched(judged(task(criterion=DEMANDING, earlier=tuple(whole[:4])), counting))
    assert resumed.chosen.recipe == unbroken.chosen.recipe
    assert [trial.recipe for trial in trials] == [trial.recipe for trial in whole]
    assert len(asked) == len(whole) - 4


def test_what_was_rejected_does_not_count_as_met(task: Tasked) -> None:
    (first,), _ = searched(task())
    trials, outcome = searched(task(earlier=(first,), rejected=frozenset({first.recipe.id})))
    assert outcome.chosen.recipe.id != first.recipe.id
    assert len(trials) == 2


def test_a_criterion_that_measures_nothing_evaluates_nothing(task: Tasked) -> None:
    given = judged(task(criterion=Criterion("none")), lambda _: pytest.fail("evaluated"))
    (trial,), outcome = searched(given)
    assert trial.metric is None
    assert outcome.chosen is trial
