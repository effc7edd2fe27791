"""The native engine in a run: what it is told, and what it found."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace

from quantize.engines.native.search.calibration_images import Calibration
from quantize.engines.native.search.evidence import rebuilt
from quantize.engines.native.search.latency_table import LatencyTable, PairedLatency
from quantize.engines.native.search.race import RaceJudge
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.tuner import NativeTuner
from quantize.engines.protocols import EvaluateCallback, Trial
from quantize.evaluation.scores import ScoreStore
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.machine.memory import forget_peak, peak_resident_bytes
from quantize.measurement.operators.profile import Profile, profile
from quantize.measurement.timing.measure import Inputs, measure
from quantize.measurement.timing.measurement import latency, speedups
from quantize.measurement.timing.plan import Plan
from quantize.models.artifact import ModelArtifact
from quantize.processes.pool import available_cpus
from quantize.recipe import Recipe
from quantize.rewrites import select_rewrites
from quantize.run.context import Context
from quantize.run.native_recipe import constrained_recipe, range_rule
from quantize.run.run_journal import NATIVE_JOURNAL
from quantize.run.search import Found, Search
from quantize.run.search_section import search_section, with_verdicts
from quantize.run.short_pair import short_pair

_LATENCY_SECONDS = 4.0
_LATENCY_RUNS = 100
_PROFILED_RUNS = 30


class NativeEngine:
    """The native engine on one run.

    Args:
        context: The run.
        search: Its criterion and evaluator.
        recorded: Latencies to decide by in place of measuring; None: measure.
    """

    def __init__(self, context: Context, search: Search, recorded: LatencyTable | None) -> None:
        self._context, self._search = context, search
        config, request = context.config, context.asked.request
        self._rewrites = tuple(one.name for one in select_rewrites(config.rewrites))
        recipe = constrained_recipe(context.model.proto(), config.quantization, self._rewrites)
        rule = range_rule(config.quantization)
        exit_policy = config.tuning.exit_policy
        speed = config.tuning.speed
        settings = SearchSettings(
            recipe=recipe if rule is None else recipe.but(range_rule=rule),
            # On CPUs of another class than the target's, times say nothing about it.
            min_speedup=speed.min_speedup if speed.min_speedup > 0 and context.target == this_cpu_class() else None,
            confidence=speed.confidence,
            max_trials=exit_policy.max_trials,
            max_seconds=min(config.tuning.time_budget, exit_policy.timeout or math.inf),
            threads=available_cpus(),
        )
        if rule is not None:
            settings = settings.model_copy(update={"range_rules": (rule,)})
        self._tuner = NativeTuner(
            settings,
            context.folder.work,
            measure=self._measure,
            profile=self._profile,
            calibration_fingerprint=context.images.calibration.fingerprint,
            configuration={"evaluation": context.images.evaluation.fingerprint, "seed": config.tuning.random_seed},
            journal=context.folder.work / NATIVE_JOURNAL,
            resume=request.resume is not None,
            judge=self._race() if search.criterion.metric != "none" else None,
            recorded=recorded,
            progress=context.progress,
        )

    def run(self) -> Found:
        """Search, and return every trial and the chosen one, built again without rewrites.

        They are applied, timed and reported one by one afterwards, as for every engine.
        """
        context = self._context
        calibration = context.batches(context.images.calibration)

        def tune(evaluate: EvaluateCallback) -> Iterator[Trial]:
            return self._tuner.tune(context.model, self._search.criterion, evaluate, calibration)

        forgotten = forget_peak()
        found = self._search.run(tune, self._choice)
        assert self._tuner.search is not None
        assert self._tuner.bench is not None
        result = self._tuner.search.result
        found = replace(
            with_verdicts(found, result),
            seconds=self._tuner.bench.elapsed,
            search=search_section(result, len(context.images.evaluation)),
            peak_bytes=peak_resident_bytes() if forgotten else None,
        )
        return replace(found, chosen=self._bare(found.chosen))

    def after(self, found: Found, rejected: Collection[str]) -> Found | None:
        """Return the search with the next candidate as its choice, or None where there is none.

        After the last one comes the fp32 model itself, where it is fast enough.

        Args:
            found: The search.
            rejected: Ids of recipes without rewrites, whose files missed the criterion.
        """
        assert self._tuner.search is not None
        for recipe in self._tuner.search.in_order_of_preference():
            if recipe.but(rewrites=()).id not in rejected:
                known = next((trial for trial in found.trials if trial.recipe.id == recipe.id), None)
                trial = known or replace(found.chosen, recipe=recipe, metric=None)
                return replace(found, chosen=self._bare(trial))
        return None

    def _bare(self, trial: Trial) -> Trial:
        """Return a trial built again without its rewrites."""
        context = self._context
        calibration = context.batches(context.images.calibration)
        recipe = trial.recipe.but(rewrites=())
        artifact = rebuilt(
            context.model,
            recipe,
            Calibration(calibration, context.images.calibration.fingerprint),
            context.folder.work,
            threads=available_cpus(),
        )
        return replace(trial, recipe=recipe, artifact=artifact)

    @property
    def latency_table(self) -> LatencyTable:
        """Return all latencies that the search used."""
        assert self._tuner.bench is not None
        return self._tuner.bench.latency_table

    def _choice(self) -> tuple[str | None, str]:
        assert self._tuner.search is not None
        result = self._tuner.search.result
        best = result.chosen or result.best
        return (best.trial.recipe.id if best is not None else None), result.stopped

    def _race(self) -> RaceJudge:
        context, evaluator = self._context, self._search.evaluator
        crops = context.images.evaluation
        return RaceJudge(
            self._search.criterion,
            evaluator.evaluate_baseline(context.model),
            ScoreStore.open(evaluator.scores),
            lambda positions: list(context.batches(crops.subset(list(positions)))),
            seed=context.config.tuning.random_seed,
            threads=available_cpus(),
            exact=evaluator.exact,
        )

    def _plan(self, candidate: ModelArtifact, baseline: ModelArtifact) -> tuple[Plan, Inputs]:
        return short_pair(self._context, baseline, candidate, seconds=_LATENCY_SECONDS, runs=_LATENCY_RUNS)

    def _measure(self, candidate: ModelArtifact, baseline: ModelArtifact) -> PairedLatency:
        measurement = measure(*self._plan(candidate, baseline))
        (gain,) = speedups(measurement)
        found = latency(measurement, "baseline")
        baseline_ns = float(found.p50_ns or found.minimum_ns)
        return PairedLatency(
            baseline_ns=baseline_ns, candidate_ns=baseline_ns / gain.ratio, low=gain.low, high=gain.high
        )

    def _profile(self, candidate: ModelArtifact, recipe: Recipe) -> Profile:
        plan = self._plan(candidate, self._context.model)
        return profile(*plan, "candidate", runs=_PROFILED_RUNS, recipe=recipe)
