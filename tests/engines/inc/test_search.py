from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.criterion import Criterion
from quantize.engines.exchange import cleaned
from quantize.engines.inc.conversation import TimeIsUpError
from quantize.engines.inc.engine import in_order
from quantize.engines.inc.search import Measured, Search
from quantize.engines.inc.settings import IncSettings
from quantize.engines.trial import Trial, trial_of
from quantize.errors import EngineError, ModelError
from quantize.models.artifact import ModelArtifact

CRITERION = Criterion("top1", baseline=0.8, absolute=0.1)
INT8 = {"activation": {"dtype": "uint8", "algorithm": "minmax"}, "weight": {"dtype": "int8"}}
FP32 = {"activation": {"dtype": "fp32"}, "weight": {"dtype": "fp32"}}


def classifier(value: float) -> onnx.ModelProto:
    """Return a model whose graph depends on the value."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("GlobalAveragePool", ["c"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, 1, 1])],
        [numpy_helper.from_array(np.full((4, 3, 1, 1), value, np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


class Compressor:
    """Stands in for the child process: tries one configuration after another, and remembers the answers."""

    def __init__(
        self,
        folder: Path,
        configurations: list[dict[str, Any]],
        *,
        ending: str = "finished",
        graphs: list[float] | None = None,
    ) -> None:
        self.stage = "search"
        self.deadlines: list[float | None] = []
        self._graphs = graphs or [float(index) for index in range(len(configurations))]
        self.answers: list[tuple[bool, float]] = []
        self._folder = folder
        self._events = self._script(configurations, ending)

    def _script(self, configurations: list[dict[str, Any]], ending: str) -> Iterator[dict[str, Any]]:
        for index, states in enumerate(configurations):
            yield {"kind": "begin", "ops": [[name, "Conv", state] for name, state in states.items()], "images": 8}
            if ending == "crash" and index == len(configurations) - 1:
                self.stage = "calibrate"
                raise EngineError("it died")
            path = self._folder / f"captured-{index}.onnx"
            onnx.save(classifier(self._graphs[index]), path)
            yield {"kind": "candidate", "path": str(path)}
        if ending == "silence":
            raise TimeIsUpError
        yield {"kind": "finished"}

    def next_event(self, deadline: float | None) -> dict[str, Any]:
        self.deadlines.append(deadline)
        return next(self._events)

    def answer(self, *, met: bool, margin: float) -> None:
        self.answers.append((met, margin))


def search(
    tmp_path: Path,
    values: Any,
    *,
    known: dict[str, float] | None = None,
    criterion: Criterion = CRITERION,
    graphs: dict[str, Measured] | None = None,
    rejected: Collection[str] = (),
    **limits: Any,
):
    metrics = iter(values)

    def evaluate(artifact: ModelArtifact) -> float:
        value = next(metrics)
        if isinstance(value, Exception):
            raise value
        return float(value)

    settings, candidates = IncSettings(**limits), tmp_path / "candidates"
    return Search(settings, classifier(0), criterion, evaluate, "qlinear", candidates, known or {}, graphs, rejected)


ALL, HALF, NONE = {"a": INT8, "b": INT8}, {"a": INT8, "b": FP32}, {"a": FP32, "b": FP32}


def test_the_best_that_failed_is_kept(tmp_path: Path):
    tuning = search(tmp_path, [0.4, 0.6, 0.5])
    trials = list(tuning.trials(Compressor(tmp_path, [ALL, HALF, NONE])))
    assert [trial.metric for trial in trials] == [0.4, 0.6, 0.5]
    assert [trial.index for trial in trials] == [0, 1, 2]
    assert all(trial.artifact and trial.artifact.path.is_file() for trial in trials)
    assert tuning.stopped == "exhausted"
    assert in_order(trials, CRITERION, ()) == []
    assert trial_of(trials, None) is trials[1]


def test_of_those_that_meet_the_goal_the_one_with_most_int8_is_chosen(tmp_path: Path):
    tuning = search(tmp_path, [0.8, 0.71, 0.75])
    trials = list(tuning.trials(Compressor(tmp_path, [NONE, ALL, HALF])))
    assert tuning.stopped == "met"
    assert in_order(trials, CRITERION, ()) == [trials[1], trials[2], trials[0]]


def test_the_answer_says_how_far_the_goal_is(tmp_path: Path):
    compressor = Compressor(tmp_path, [ALL, HALF])
    list(search(tmp_path, [0.4, 0.9]).trials(compressor))
    assert compressor.answers == [(False, pytest.approx(-0.3)), (True, pytest.approx(0.2))]


def test_a_configuration_tried_before_is_answered_but_no_new_trial(tmp_path: Path):
    compressor = Compressor(tmp_path, [ALL, HALF, ALL])
    trials = list(search(tmp_path, [0.4, 0.5]).trials(compressor))
    assert len(trials) == 2
    assert compressor.answers[0] == compressor.answers[2]


def test_a_resumed_search_measures_only_what_is_new(tmp_path: Path):
    first = list(search(tmp_path, [0.4, 0.5]).trials(Compressor(tmp_path, [ALL, HALF])))
    known = {trial.recipe.id: trial.metric for trial in first if trial.metric is not None}
    tuning = search(tmp_path, [0.6], known=known)
    again = list(tuning.trials(Compressor(tmp_path, [ALL, HALF, NONE])))
    assert [(trial.index, trial.metric) for trial in again] == [(2, 0.6)]
    assert trial_of([*first, *again], None) is again[0]


def test_max_trials_ends_the_search(tmp_path: Path):
    tuning = search(tmp_path, itertools.repeat(0.4), max_trials=2)
    assert len(list(tuning.trials(Compressor(tmp_path, [ALL, HALF, NONE])))) == 2
    assert tuning.stopped == "max_trials"


def test_a_success_in_the_last_trial_is_a_success(tmp_path: Path):
    tuning = search(tmp_path, [0.8], max_trials=1)
    assert len(list(tuning.trials(Compressor(tmp_path, [ALL, HALF])))) == 1
    assert tuning.stopped == "met"


def test_a_search_that_is_too_slow_keeps_its_trials(tmp_path: Path):
    tuning = search(tmp_path, [0.4], timeout=3600)
    assert len(list(tuning.trials(Compressor(tmp_path, [ALL], ending="silence")))) == 1
    assert tuning.stopped == "timeout"


def test_time_spent_evaluating_counts(tmp_path: Path):
    tuning = search(tmp_path, itertools.repeat(0.4), timeout=1e-9)
    assert len(list(tuning.trials(Compressor(tmp_path, [ALL, HALF])))) == 1
    assert tuning.stopped == "timeout"


def test_a_model_that_cannot_be_run_is_a_failed_trial_and_the_search_goes_on(tmp_path: Path):
    compressor = Compressor(tmp_path, [ALL, HALF])
    trials = list(search(tmp_path, [ModelError("no kernel"), 0.75]).trials(compressor))
    assert trials[0].failure is not None
    assert (trials[0].failure.stage, trials[0].artifact, trials[0].metric) == ("evaluate", None, None)
    assert compressor.answers[0][0] is False
    assert trials[1].metric == 0.75


def test_a_crash_yields_the_trial_that_it_ended_and_is_raised(tmp_path: Path):
    tuning = search(tmp_path, itertools.repeat(0.4))
    trials: list[Trial] = []
    with pytest.raises(EngineError, match="it died"):
        trials.extend(tuning.trials(Compressor(tmp_path, [ALL, HALF], ending="crash")))
    # `extend` kept what came before the error.
    assert [trial.failure.stage if trial.failure else None for trial in trials] == [None, "calibrate"]
    assert tuning.stopped == "failed"


def test_a_bug_in_the_evaluation_passes_through(tmp_path: Path):
    tuning = search(tmp_path, [ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        list(tuning.trials(Compressor(tmp_path, [ALL])))
    assert tuning.stopped == "failed"


def test_without_a_metric_nothing_is_measured_and_the_first_is_taken(tmp_path: Path):
    tuning = search(tmp_path, [], criterion=Criterion("none"))
    compressor = Compressor(tmp_path, [ALL])
    trials = list(tuning.trials(compressor))
    assert (trials[0].metric, compressor.answers) == (None, [(True, 0.0)])
    assert in_order(trials, Criterion("none"), ()) == trials


def test_unused_opset_imports_are_removed():
    model = classifier(1.0)
    model.opset_import.extend([helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("ai.onnx.ml", 5)])
    model.graph.node.append(helper.make_node("QLinearAdd", [], ["z"], domain="com.microsoft"))
    assert [(opset.domain, opset.version) for opset in cleaned(model).opset_import] == [("", 13), ("com.microsoft", 1)]
    assert len(model.opset_import) == 3


def test_a_graph_that_was_tried_before_is_not_run_again_and_the_trial_says_so(tmp_path: Path):
    compressor = Compressor(tmp_path, [ALL, HALF, NONE], graphs=[1.0, 2.0, 1.0])
    trials = list(search(tmp_path, [0.4, 0.5]).trials(compressor))
    assert [trial.metric for trial in trials] == [0.4, 0.5, 0.4]
    assert [trial.repeats for trial in trials] == [None, None, trials[0].recipe.id]
    assert compressor.answers[0] == compressor.answers[2]


def test_a_graph_that_could_not_be_run_is_not_run_again_either(tmp_path: Path):
    compressor = Compressor(tmp_path, [ALL, HALF], graphs=[1.0, 1.0])
    trials = list(search(tmp_path, [ModelError("no kernel")]).trials(compressor))
    assert trials[1].failure == trials[0].failure
    assert trials[1].repeats == trials[0].recipe.id


def test_a_graph_that_was_measured_before_a_resumption_is_not_run_again(tmp_path: Path):
    (first,) = search(tmp_path, [0.75]).trials(Compressor(tmp_path, [ALL]))
    assert first.artifact is not None
    graphs = {first.artifact.graph_sha256: Measured(first.recipe.id, first.metric)}
    tuning = search(tmp_path, [], graphs=graphs)
    (again,) = tuning.trials(Compressor(tmp_path, [HALF]))
    assert (again.metric, again.repeats) == (0.75, first.recipe.id)


def test_a_recipe_whose_files_missed_the_goal_does_not_end_the_search_nor_does_its_graph(tmp_path: Path):
    (first,) = search(tmp_path, [0.8]).trials(Compressor(tmp_path, [ALL]))
    compressor = Compressor(tmp_path, [ALL, HALF, NONE], graphs=[0.0, 0.0, 2.0])
    assert first.artifact is not None
    graphs = {first.artifact.graph_sha256: Measured(first.recipe.id, 0.8)}
    tuning = search(tmp_path, [0.75], known={first.recipe.id: 0.8}, graphs=graphs, rejected={first.recipe.id})
    trials = list(tuning.trials(compressor))
    assert [met for met, _ in compressor.answers] == [False, False, True]
    assert all(margin < 0 for met, margin in compressor.answers if not met)
    assert in_order([first, *trials], CRITERION, {first.recipe.id}) == [trials[-1]]


def test_the_time_budget_ends_the_search_with_the_best_so_far(tmp_path: Path):
    tuning = search(tmp_path, itertools.repeat(0.4), time_budget=1e-9)
    compressor = Compressor(tmp_path, [ALL, HALF])
    (trial,) = tuning.trials(compressor)
    assert tuning.stopped == "time_budget"
    assert trial_of([trial], None) is trial


def test_the_time_budget_leaves_time_for_one_candidate_and_the_time_out_does_not(tmp_path: Path):
    compressor = Compressor(tmp_path, [ALL])
    list(search(tmp_path, [0.4], time_budget=1e-9).trials(compressor))
    assert compressor.deadlines[0] is None
    hurried = Compressor(tmp_path, [ALL])
    list(search(tmp_path, [0.4], timeout=3600, time_budget=1e-9).trials(hurried))
    assert hurried.deadlines[0] is not None


def test_a_success_behind_the_time_budget_is_a_success(tmp_path: Path):
    tuning = search(tmp_path, [0.8], time_budget=1e-9)
    list(tuning.trials(Compressor(tmp_path, [ALL])))
    assert tuning.stopped == "met"
