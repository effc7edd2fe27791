from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from onnx import TensorProto

from quantize.criterion import Criterion
from quantize.engines.native.builder.weight_scales import NARROW_WHERE_NEEDED
from quantize.engines.native.search.result import Judgement
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.source_graph import SourceGraph
from quantize.errors import EngineError, ModelError
from quantize.formats.float_weights import stored_layers
from quantize.formats.saturation import saturating_layers
from quantize.recipe import Recipe
from tests.engines.native.search.conftest import made_profile

UNREACHABLE = Criterion("agreement", minimum=1.1)
ALIKE = made_profile({"stem": (101, 100), "left": (41, 40), "right": (81, 80), "last": (61, 60)}, 0.1)
"""Every layer is nearly as fast in fp32 as in int8."""


def finished(search):
    trials = list(search.trials())
    return trials, search.result


def recorded(folder):
    """The keys and values of the steps in a search's journal."""
    entries = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()[1:]]
    return [(entry["step"].removeprefix("native: "), entry["result"]["value"]) for entry in entries]


def test_the_fastest_candidate_that_meets_the_goal_is_chosen(search_in, criterion, agreement, tmp_path):
    trials, result = finished(search_in(tmp_path))
    assert result.chosen is not None
    assert result.best is result.chosen
    assert criterion.met(agreement(result.chosen.trial.artifact))
    assert result.chosen.speedup == pytest.approx(2.5)
    assert [trial.index for trial in trials] == list(range(len(trials)))
    assert {candidate.trial.recipe.id for candidate in result.candidates} == {trial.recipe.id for trial in trials}
    assert result.stopped == "search finished"
    assert set(result.seconds) >= {"calibrate", "choose recipe", "sensitivity", "profile", "build", "evaluate"}


def test_the_head_stays_in_fp32(search_in, tmp_path):
    _, result = finished(search_in(tmp_path))
    assert set(result.chosen.trial.recipe.float_nodes) >= {
        "gap",
        "softmax",
    }  # and flatten, where onnxruntime quantizes that


def test_every_op_has_a_sensitivity_of_its_weights_and_its_output(search_in, tmp_path):
    _, result = finished(search_in(tmp_path))
    assert set(result.sensitivity.weights) == {"stem", "left", "right", "last"}
    assert set(result.sensitivity.tensors) >= {"x", "r0", "r1", "r2", "r3"}
    assert "pooled" not in result.sensitivity.tensors
    assert result.sensitivity.images == 32
    assert all(value > 0 for value in result.sensitivity.weights.values())


def test_corrections_and_rules_are_compared_and_recorded(search_in, tmp_path):
    every = SearchSettings(recipe=Recipe(engine="native"))
    search = search_in(tmp_path, range_rules=every.range_rules, corrections=every.corrections)
    _, result = finished(search)
    tried = " ".join(name for name, _ in result.fidelity)
    for name in ("percentile:99.999", "minmax", "mse", "entropy", "bias", "rounding", "scores", "weight_mse"):
        assert name in tried


def test_a_fixed_rule_and_no_corrections_are_kept_to(search_in, tmp_path):
    search = search_in(tmp_path, range_rules=("minmax",), corrections=())
    _, result = finished(search)
    assert result.chosen.trial.recipe.range_rule == "minmax"
    assert result.chosen.trial.recipe.range_rules == ()
    assert result.chosen.trial.recipe.corrections == ()


def test_a_goal_that_nothing_meets_has_no_chosen_candidate_but_a_best_one(search_in, tmp_path):
    _, result = finished(search_in(tmp_path, wanted=UNREACHABLE))
    assert result.chosen is None
    assert result.best is not None
    assert all(not candidate.met for candidate in result.candidates)
    assert all(candidate.trial.recipe.float_nodes != ("everything",) for candidate in result.candidates)


def slow_integers(clock):
    """Integer arithmetic takes twice as long as fp32's, in the profile and by the clock."""

    def time_ns(artifact):
        quantized = any(node.op_type == "DequantizeLinear" for node in artifact.proto().graph.node)
        return 2000.0 if quantized else 1000.0

    clock.time_ns = time_ns
    clock.profile = lambda *_: made_profile({"stem": (300, 600), "left": (100, 200), "right": (200, 400)})


def stored_in(artifact):
    return set(stored_layers(artifact.proto()))


def test_where_integers_are_slower_the_model_computes_in_fp32_on_weights_stored_in_int8(
    search_in, clock, criterion, agreement, tmp_path
):
    slow_integers(clock)
    _, result = finished(search_in(tmp_path))
    assert result.chosen.speedup == 1.0
    assert stored_in(result.chosen.trial.artifact) == {"stem", "left", "right", "last"}
    assert criterion.met(agreement(result.chosen.trial.artifact))
    assert all(node.op_type != "DequantizeLinear" for node in result.chosen.trial.artifact.proto().graph.node)


def test_weights_that_break_the_goal_are_kept_in_fp32_the_most_sensitive_first(search_in, clock, tmp_path):
    slow_integers(clock)

    def judge(candidate):
        met = len(stored_in(candidate)) <= 2
        return Judgement(metric=0.95 if met else 0.1, met=met, images=40, total=40)

    _, result = finished(search_in(tmp_path, judge=judge))
    sensitivity = result.sensitivity.weights
    passing = [stored_in(candidate.trial.artifact) for candidate in result.candidates if candidate.met]
    assert max(passing, key=len) == set(sorted(sensitivity, key=sensitivity.get)[:2])


def test_at_last_there_is_the_fp32_model_itself(search_in, tmp_path):
    def judge(candidate):
        met = all(tensor.data_type != TensorProto.INT8 for tensor in candidate.proto().graph.initializer)
        return Judgement(metric=0.95 if met else 0.1, met=met, images=40, total=40)

    _, result = finished(search_in(tmp_path, judge=judge))
    assert result.chosen is not None
    assert result.chosen.stage == "stored"
    assert result.chosen.trial.recipe.stored_nodes == ()


def test_a_spent_budget_still_ends_with_a_model_that_meets_the_goal(search_in, clock, tmp_path):
    slow_integers(clock)
    clock.profile = lambda *_: made_profile({"stem": (300, 100), "left": (100, 40), "right": (200, 80)})
    trials, result = finished(search_in(tmp_path, max_trials=1))
    assert result.stopped == "trial budget spent"
    assert len(trials) <= 3
    assert result.chosen.speedup == 1.0


def test_what_is_asked_beyond_this_machine_is_not_met_and_the_fastest_that_is_accurate_is_the_best(search_in, tmp_path):
    _, result = finished(search_in(tmp_path, min_speedup=3.0))
    assert result.chosen is None
    assert result.best.met
    assert result.best.speedup == pytest.approx(2.5)


def test_where_this_machines_times_do_not_count_the_fastest_is_chosen_however_slow(search_in, clock, tmp_path):
    slow = clock.measure
    clock.measure = lambda *models: slow(*models).model_copy(update={"baseline_ns": 100.0})
    _, result = finished(search_in(tmp_path, min_speedup=None))
    assert result.chosen.speedup == pytest.approx(0.25)


def test_a_layer_that_is_as_fast_with_weights_of_uint8_gets_them(search_in, clock, tmp_path):
    narrow = Recipe(engine="native", reduce_range=True, details=((NARROW_WHERE_NEEDED, "true"),))
    times = {"stem": (300, 100), "left": (100, 40), "right": (200, 80), "last": (150, 60)}

    def profile(artifact, recipe):
        slower = {name: (fp32, int8 * 2) for name, (fp32, int8) in times.items() if name != "right"}
        return made_profile({**times, **slower} if recipe.uint8_nodes else times)

    clock.profile = profile
    _, result = finished(search_in(tmp_path, recipe=narrow))
    assert result.chosen.trial.recipe.uint8_nodes == ("right",)
    unsigned = {
        tensor.name.removesuffix("_quantized")
        for tensor in result.chosen.trial.artifact.proto().graph.initializer
        if tensor.data_type == TensorProto.UINT8 and len(tensor.dims) == 4
    }
    assert len(unsigned) == 1
    assert saturating_layers(result.chosen.trial.artifact.proto()) == ("right",) or not saturating_layers(
        result.chosen.trial.artifact.proto()
    )


def test_a_failing_fast_candidate_makes_the_search_climb_to_a_safer_one(search_in, tmp_path):
    def strict(candidate):
        weights = {tensor.name for tensor in candidate.proto().graph.initializer}
        return Judgement(metric=0.95 if "w0" in weights else 0.1, met="w0" in weights, images=40, total=40)

    _, result = finished(search_in(tmp_path, judge=strict))
    assert result.chosen is not None
    assert "stem" in result.chosen.trial.recipe.float_nodes
    assert len(result.candidates) >= 2
    assert result.pareto[0].trial.metric <= result.pareto[-1].trial.metric


def test_the_trial_budget_ends_the_search_with_a_result(search_in, tmp_path):
    search = search_in(tmp_path, wanted=UNREACHABLE, max_trials=1, min_speedup=2.0)
    trials, result = finished(search)
    assert len(trials) == 1
    assert result.stopped == "trial budget spent"
    assert result.best is not None


def test_the_time_budget_lets_at_least_one_candidate_through(search_in, tmp_path):
    search = search_in(tmp_path, wanted=UNREACHABLE, max_seconds=1e-6, min_speedup=2.0)
    trials, result = finished(search)
    assert len(trials) == 1
    assert result.stopped == "time budget spent"


def test_a_goal_that_measures_nothing_accepts_the_fastest(search_in, tmp_path):
    _, result = finished(search_in(tmp_path, wanted=Criterion("none")))
    assert result.chosen is not None
    assert result.chosen.trial.metric is None


def test_wherever_it_is_killed_a_resumed_search_gives_the_same_model(search_in, clock, tmp_path):
    unbroken = search_in(tmp_path / "unbroken")
    _, expected = finished(unbroken)
    table = unbroken.latency_table
    recorded = search_in(tmp_path / "recorded", recorded=table)
    _, first = finished(recorded)
    assert first.chosen.trial.recipe == expected.chosen.trial.recipe
    journal = (tmp_path / "recorded" / "trials.jsonl").read_bytes()
    rng = np.random.default_rng(0)
    clock.measured.clear()
    for number, cut in enumerate(sorted(rng.integers(1, len(journal), 5))):
        folder = tmp_path / f"killed {number}"
        folder.mkdir()
        (folder / "trials.jsonl").write_bytes(journal[:cut])
        _, resumed = finished(search_in(folder, resume=True, recorded=table))
        assert resumed.chosen.trial.recipe == expected.chosen.trial.recipe
        assert resumed.chosen.trial.artifact.graph_sha256 == expected.chosen.trial.artifact.graph_sha256
    assert clock.measured == []


def test_no_finished_step_is_repeated_after_a_resumption(search_in, clock, tmp_path):
    finished(search_in(tmp_path))
    before = (tmp_path / "trials.jsonl").read_bytes()
    clock.measured.clear()

    def never(candidate):
        pytest.fail("evaluated again")

    _, result = finished(search_in(tmp_path, resume=True, evaluate=never))
    assert clock.measured == []
    assert (tmp_path / "trials.jsonl").read_bytes() == before
    assert result.chosen is not None


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"no space left", lambda content: content[:-100]])
def test_a_damaged_candidate_of_a_resumed_search_is_built_again(search_in, tmp_path, damage):
    _, first = finished(search_in(tmp_path))
    path = first.chosen.trial.artifact.path
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    _, resumed = finished(search_in(tmp_path, resume=True))
    assert resumed.chosen.trial.artifact == first.chosen.trial.artifact
    assert path.read_bytes() == whole


def test_the_steps_of_a_search_for_another_criterion_are_not_used(search_in, clock, tmp_path):
    finished(search_in(tmp_path))
    before, measured = (tmp_path / "trials.jsonl").read_bytes(), list(clock.measured)
    finished(search_in(tmp_path, resume=True, wanted=Criterion("agreement", minimum=0.8)))
    assert (tmp_path / "trials.jsonl").read_bytes().startswith(before)
    assert len(clock.measured) > len(measured)


@pytest.mark.parametrize("stage", ["quantize", "profile"])
def test_where_no_integers_can_be_had_the_search_goes_on_in_fp32(search_in, clock, model, tmp_path, monkeypatch, stage):
    original = SourceGraph.build

    def broken(self, model, recipe):
        if len(recipe.float_nodes) < 8:
            raise EngineError("no kernel")
        return original(self, model, recipe)

    def not_opened(*_):
        raise ModelError("no kernel")

    if stage == "quantize":
        monkeypatch.setattr(SourceGraph, "build", broken)
    else:
        clock.profile = not_opened
    search = search_in(tmp_path)
    trials, result = finished(search)
    assert trials[0].failure.stage == stage
    assert "no kernel" in trials[0].failure.error
    assert result.chosen is not None
    assert result.chosen.stage == "stored"


def test_a_candidate_that_onnxruntime_does_not_open_is_a_failed_trial(search_in, tmp_path):
    def judge(candidate):
        if any(node.op_type == "DequantizeLinear" for node in candidate.proto().graph.node):
            raise ModelError("onnxruntime cannot load it")
        return Judgement(metric=0.95, met=True, images=40, total=40)

    trials, result = finished(search_in(tmp_path, judge=judge))
    assert {trial.failure.stage for trial in trials if trial.failure} == {"evaluate"}
    assert result.chosen is not None


def test_the_journal_says_what_the_search_decided_by(search_in, tmp_path):
    finished(search_in(tmp_path))
    keys = [key for key, _ in recorded(tmp_path)]
    assert len(keys) == len(set(keys))
    kinds = [key.split(":")[0] for key in keys]
    for kind in ("statistics", "divergences", "sensitivity", "built", "profile", "judged", "latency"):
        assert kind in kinds


def test_of_candidates_as_fast_as_the_fastest_the_nearest_to_fp32_is_chosen(search_in, clock, model, tmp_path):
    clock.time_ns = lambda artifact: 1000.0 if artifact is model else 400.0
    clock.profile = lambda *_: ALIKE
    search = search_in(tmp_path, neighbours=6)
    _, result = finished(search)
    first = result.candidates[0]
    assert first.met
    assert result.chosen is not first
    assert result.chosen.speedup == first.speedup
    divergences = {key: value for key, value in recorded(tmp_path) if key.startswith("divergences:")}
    near = [
        sum(sum(divergences[f"divergences:{candidate.trial.recipe.id}:{half}"]) for half in ("even", "odd"))
        for candidate in (result.chosen, first)
    ]
    assert near[0] < near[1]


def test_a_slower_candidate_is_not_chosen_however_near_to_fp32(search_in, clock, tmp_path):
    clock.profile = lambda *_: ALIKE
    _, result = finished(search_in(tmp_path, neighbours=6))
    assert result.chosen is result.candidates[0]
    assert result.timed
    assert any(candidate.speedup < result.chosen.speedup for candidate in result.timed)
    assert not any(candidate.speedup > result.chosen.speedup for candidate in result.timed)


def test_a_trial_took_the_time_of_all_that_was_done_for_it(search_in, clock, model, tmp_path):
    ticks = itertools.count()
    clock.time_ns = lambda artifact: 1000.0 if artifact is model else 400.0
    clock.profile = lambda *_: ALIKE
    search = search_in(tmp_path, neighbours=6, seconds=lambda: float(next(ticks)))
    _, result = finished(search)
    assert result.chosen is not result.candidates[0]
    assert result.chosen.trial.seconds >= 4  # built, compared, timed and evaluated, each a tick or more


def test_a_spent_budget_leaves_what_was_compared_already(search_in, clock, model, tmp_path):
    clock.time_ns = lambda artifact: 1000.0 if artifact is model else 400.0
    clock.profile = lambda *_: ALIKE
    _, result = finished(search_in(tmp_path, neighbours=6, max_trials=2))
    assert result.stopped == "trial budget spent"
    assert result.chosen is result.candidates[1]


def test_every_comparison_that_decided_is_reported(search_in, clock, model, tmp_path):
    clock.time_ns = lambda artifact: 1000.0 if artifact is model else 400.0
    clock.profile = lambda *_: ALIKE
    _, result = finished(search_in(tmp_path, neighbours=6))
    compared = [name for name, _ in result.fidelity]
    assert len(compared) == len(set(compared))
    kept = sorted(set(result.chosen.trial.recipe.float_nodes) - set(result.candidates[0].trial.recipe.float_nodes))
    assert any(name.endswith(", ".join(f"{node}: fp32" for node in kept)) for name in compared)


def test_a_first_answer_is_everything_in_int8_where_that_is_good_enough(search_in, tmp_path):
    trials, result = finished(search_in(tmp_path, first_answer=True, corrections=("bias", "scores")))
    assert len(trials) == 1
    assert result.chosen is not None
    assert result.chosen.trial.recipe.corrections == ("bias", "scores")
    assert "sensitivity" not in result.seconds
    assert "choose recipe" not in result.seconds


def test_a_first_answer_that_is_slower_than_fp32_is_placed_by_a_profile_alone(search_in, clock, tmp_path):
    slow_integers(clock)
    _, result = finished(search_in(tmp_path, first_answer=True, neighbours=0))
    assert result.chosen is not None
    assert stored_in(result.chosen.trial.artifact)
    assert "sensitivity" not in result.seconds


def test_a_first_answer_that_is_accurate_and_not_as_fast_as_asked_is_not_searched_on(search_in, tmp_path):
    trials, result = finished(search_in(tmp_path, first_answer=True, neighbours=0, min_speedup=1000.0))
    assert result.chosen is None
    assert all(trial.artifact is not None for trial in trials)
    assert "sensitivity" not in result.seconds


def test_a_first_answer_that_is_not_accurate_enough_is_searched_for(search_in, tmp_path):
    _, result = finished(search_in(tmp_path, first_answer=True, wanted=UNREACHABLE))
    assert result.chosen is None
    assert "sensitivity" in result.seconds


def _of_steps(folder, stage_seconds):
    """Return a clock by which each step that a search remembers, but for decisions, takes some time."""
    journal = folder / "trials.jsonl"

    def seconds():
        lines = journal.read_text("utf-8").splitlines()[1:] if journal.is_file() else []
        return stage_seconds * sum("native: time:" not in line for line in lines)

    return seconds


def test_a_part_of_the_time_is_for_comparing_recipes_and_what_is_left_out_is_not_chosen(search_in, tmp_path):
    every = SearchSettings(recipe=Recipe(engine="native"))
    rules = {"range_rules": every.range_rules, "corrections": every.corrections}
    ample, short = (
        search_in(tmp_path / name, seconds=_of_steps(tmp_path / name, 1.0), max_seconds=budget, **rules)
        for name, budget in (("ample", 1e6), ("short", 14.0))
    )
    _, all_compared = finished(ample)
    trials, result = finished(short)
    assert len(result.fidelity) < len(all_compared.fidelity)
    assert result.stopped == "time budget spent"
    assert result.chosen is not None
    # The corrections that cost next to nothing are there all the same; a rule that was not tried is not.
    assert {"bias", "scores"} <= {*trials[0].recipe.corrections}
    assert trials[0].recipe.range_rule in " ".join(words for words, _ in result.fidelity)
    assert short.elapsed <= 14.0 + 4.0, "what was begun is finished, and no more"


def test_where_time_is_short_the_candidate_that_is_evaluated_first_counts_as_the_fastest_rung(search_in, tmp_path):
    every = SearchSettings(recipe=Recipe(engine="native"))
    rules = {"range_rules": every.range_rules, "corrections": every.corrections}
    search = search_in(tmp_path, seconds=_of_steps(tmp_path, 1.0), max_seconds=20.0, **rules)
    trials, result = finished(search)
    assert result.sensitivity.images == 8
    assert "profile" in result.seconds, "the search went on behind it"
    assert len({trial.artifact.graph_sha256 for trial in trials if trial.artifact}) == len(trials)


def test_a_search_that_is_killed_when_time_had_run_short_goes_on_as_it_was(search_in, monkeypatch, tmp_path):
    every = SearchSettings(recipe=Recipe(engine="native"))
    rules = {"range_rules": every.range_rules, "corrections": every.corrections}
    remember = SearchJournal.remember

    def searched(folder, *, resume=False, killed_after=None):
        now, steps = [0.0], []

        def timed(journal, stage, name, compute, kind=object):
            def slow():
                if len(steps) == killed_after:
                    raise KeyboardInterrupt
                value = compute()
                if not name.startswith("time:"):
                    now[0] += 1.0
                    steps.append(name)
                return value

            value = remember(journal, stage, name, slow, kind)
            now[0] += 0.1  # what no step counts, and a resumption does not know of
            return value

        monkeypatch.setattr(SearchJournal, "remember", timed)
        search = search_in(folder, resume=resume, seconds=lambda: now[0], max_seconds=25.0, **rules)
        try:
            return [trial.recipe.id for trial in search.trials()], search.result.fidelity, steps
        except KeyboardInterrupt:
            return None

    trials, compared, steps = searched(tmp_path / "unbroken")
    first = next(place for place, name in enumerate(steps) if name.startswith("built"))
    assert searched(tmp_path / "killed", killed_after=first + 1) is None
    again = searched(tmp_path / "killed", resume=True)
    assert again[:2] == (trials, compared)
    assert len(again[2]) == len(steps) - first - 1, "nothing is computed twice"
