"""A run on the small classifier, and doubles for its search and measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from quantize.config import RunConfig
from quantize.engines.native.engine import NativeSearch
from quantize.engines.native.search.latency_table import PairedLatency
from quantize.engines.ort.engine import OrtEngine
from quantize.engines.placement.bench import choose_placement, place_in_float
from quantize.engines.task import SearchTask
from quantize.engines.trial import PlacedTrial, SearchOutcome, Trial, trial_of
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.fidelity import Fidelity
from quantize.evaluation.outcomes import Outcomes
from quantize.models.artifact import ModelArtifact, save_model
from quantize.recipe import Recipe
from quantize.run import report as run_report
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.engines.native.search.conftest import made_profile
from tests.run.colours import chosen_candidate, colours

Configured = Callable[..., RunConfig]
EndedSearch = Callable[..., None]
Evaluated = Callable[..., Evaluation]


@pytest.fixture(scope="session")
def colour_run(colour_model: Path, configured: Configured, tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    """Return a finished run on the small classifier, started in an empty folder next to it."""
    place = tmp_path_factory.mktemp("run")
    (place / "here").mkdir()
    request = TuneRequest(configured(), input_model=colour_model, output_model=place / "out", workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place / "here")
        return tune(request)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the measurements of memory and operators."""
    monkeypatch.setattr(run_report, "measure_anatomy", lambda *_, **__: ((), None))


@pytest.fixture
def ended_search(brief: None, colour_run: TuneResult, monkeypatch: pytest.MonkeyPatch) -> EndedSearch:
    """Return a function that replaces the search by given candidates, by default the one that ``colour_run`` chose.

    An exception among the candidates is raised at its turn, as if the run were interrupted.
    """

    def replace(*candidates: onnx.ModelProto | BaseException) -> None:
        given, recipe = candidates or (chosen_candidate(colour_run),), colour_run.report.chosen.recipe
        monkeypatch.setattr(OrtEngine, "search", lambda _, task: ScriptedSearch(task, recipe, given))

    return replace


class ScriptedSearch:
    """A search of the engine ``ort`` whose candidates are given."""

    def __init__(
        self, task: SearchTask, recipe: Recipe, candidates: tuple[onnx.ModelProto | BaseException, ...]
    ) -> None:
        self._task, self._recipe, self._candidates = task, recipe, candidates

    def trials(self) -> Iterator[Trial]:
        task, known = self._task, {trial.recipe.id for trial in self._task.earlier}
        for number, candidate in enumerate(self._candidates):
            recipe = self._recipe.but(details=(*self._recipe.details, ("number", f"{number}")))
            if recipe.id in known:
                continue
            if isinstance(candidate, BaseException):
                raise candidate
            artifact = save_model(candidate, task.folder / "candidates" / f"{recipe.id}.onnx")
            metric = task.callbacks.evaluate(artifact) if task.criterion.metric != "none" else None
            yield Trial(number, recipe, artifact, metric, 0.1)

    def outcome(self, trials: Sequence[Trial], seconds: float) -> SearchOutcome:
        met = [trial for trial in trials if self._task.criterion.met(trial.metric)]
        kept = [trial for trial in met if trial.recipe.id not in self._task.rejected]
        order = sorted(kept, key=lambda trial: trial.metric or 0.0, reverse=True) or [trial_of(trials, None)]
        return SearchOutcome(order[0], "these were all", seconds, others=tuple(order[1:]))

    def after(self, *_: object) -> None:
        return None

    def placed(self, trial: Trial) -> PlacedTrial:
        return choose_placement(self._task, trial, "onnxruntime")

    def in_float(self, trial: Trial) -> PlacedTrial:
        return place_in_float(self._task, trial)


@pytest.fixture(scope="session")
def evaluated() -> Evaluated:
    """Return a maker of evaluations: which images are right, of how many classes, and the agreement with fp32."""

    def make(
        right: list[bool], *, classes: int = 1000, labelled: bool = True, agreements: list[float] | None = None
    ) -> Evaluation:
        wrong = np.array([not image for image in right], np.int64)
        outcomes = Outcomes(
            ids=tuple(f"image-{number:05}" for number in range(len(right))),
            labels=np.zeros_like(wrong) if labelled else None,
            rank=wrong if labelled else None,
            ties=np.zeros_like(wrong) if labelled else None,
            prediction=wrong.copy(),
            tied_top=np.ones_like(wrong),
            margin=np.ones(len(right)),
        )
        ones = np.ones(len(right))
        fidelity = None
        if agreements is not None:
            agreed = np.array(agreements)
            fidelity = Fidelity("softmax", agreed, agreed == 1, np.zeros(len(right)), ones, ones.copy())
        return Evaluation("f" * 64, classes, outcomes, (), fidelity, constant_output=False)

    return make


@pytest.fixture
def fast_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the native engine latencies in which integers are faster."""
    make_integers_fast(monkeypatch)


def make_integers_fast(patch: pytest.MonkeyPatch) -> None:
    """Give the native engine latencies in which integers are faster: so small a model gains nothing when timed."""

    def time_ns(model: ModelArtifact) -> float:
        on_integers = any(node.op_type == "DequantizeLinear" for node in model.proto().graph.node)
        return 400.0 if on_integers else 1000.0

    def measured(_: NativeSearch, candidate: ModelArtifact, baseline: ModelArtifact, __: float) -> PairedLatency:
        return PairedLatency(baseline_ns=time_ns(baseline), candidate_ns=time_ns(candidate))

    def profiled(_: NativeSearch, candidate: ModelArtifact, recipe: Recipe) -> SimpleNamespace:
        names = [node.name for node in colours().graph.node]
        return made_profile(dict.fromkeys(names, (100.0, 40.0)), conversion=1.0)

    patch.setattr(NativeSearch, "_measure", measured)
    patch.setattr(NativeSearch, "_profile", profiled)
