"""What all steps of a run share once its inputs are validated."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from quantize.config.run_config import RunConfig
from quantize.criterion import Criterion
from quantize.data.batches import Batches
from quantize.data.crops.crops import Crops
from quantize.data.image_parts import Images
from quantize.engines.native.search.latency_model import ProfiledTimes
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.evaluation.evaluate import EvaluationPass, evaluate
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import CatalogEntry
from quantize.models.ending import Ending
from quantize.models.given_form import GivenForm
from quantize.models.versions import known_opset
from quantize.processes.memory import give_back_unused
from quantize.processes.pool import available_cpus
from quantize.progress import Progress
from quantize.recipe import Recipe
from quantize.report.provenance import MachineSection, StageSection
from quantize.report.schema import RunReport
from quantize.rewrites import RatioInterval
from quantize.run.effort import Effort, effort_of
from quantize.run.evaluator import Evaluator
from quantize.run.folder import RunFolder
from quantize.run.request import RunRequest
from quantize.run.resolve import is_exact
from quantize.run.sample import Selection, selection_of
from quantize.target import CpuClass

_LOG = logging.getLogger("quantize")

_CALIBRATION_BATCH = 16
EVALUATION_BATCH = 4
"""Images of a batch that is evaluated: as many are at work at once as there are cores, each with its activations. Of 8,
fewer of these stay in the cores' caches, and an image takes 4 % more of processor time (SqueezeNet,
`benchmarks/evaluation_batches.py`)."""
_PATIENCE = 4.0
"""Times the seconds given to a pair that slow models may take for an interval: 16 s for a rewrite in place of 4."""
UNBOUNDED = 1e9
"""Stands for "no upper bound": JSON has no infinity."""

Triple = tuple[float, float, float]


@dataclass
class Stages:
    """How long each stage of a run took, in order; each is logged when it begins.

    Attributes:
        begin: Told the name of every stage that begins.
        end: Told the name of every stage that has ended well.
    """

    begin: Callable[[str], None] = lambda _: None
    end: Callable[[str], None] = lambda _: None
    _seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside; a name used again adds up."""
        if name not in self._seconds:
            _LOG.info("%s", name)
        self.begin(name)
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - start
            give_back_unused()
        self.end(name)

    def sections(self) -> tuple[StageSection, ...]:
        """Return every stage with its seconds, in the order of their beginning."""
        return tuple(StageSection(name=name, seconds=seconds) for name, seconds in self._seconds.items())


@dataclass
class Ratios:
    """Every ratio of a run, each measured at most once, whatever kills and resumes it.

    Attributes:
        journal: The run's journal.
        recorded: Ratios of a recorded latency table, which are used instead of measuring.
        profiles: Recorded profiles by recipe id, which are used instead of measuring.
        used: Every requested ratio: low, ratio, high.
        used_profiles: Every requested profile, by recipe id.
    """

    journal: Journal
    recorded: Mapping[str, Triple]
    profiles: Mapping[str, ProfiledTimes] = field(default_factory=dict)
    used: dict[str, Triple] = field(default_factory=dict)
    used_profiles: dict[str, ProfiledTimes] = field(default_factory=dict)

    def of(self, before: ModelArtifact, after: ModelArtifact, measured: Callable[[], RatioInterval]) -> RatioInterval:
        """Return how much faster ``after`` is than ``before``."""
        key = f"{before.graph_sha256[:16]} {after.graph_sha256[:16]}"

        def compute() -> list[float]:
            if key in self.recorded:
                return list(self.recorded[key])
            ratio = measured()
            return [ratio.low, ratio.ratio, min(ratio.high, UNBOUNDED)]

        low, ratio, high = self.journal.step(f"rewrite {key}", compute, kind=Triple)
        self.used[key] = (low, ratio, high)
        return RatioInterval(low=low, ratio=ratio, high=high)

    def profile(self, recipe: Recipe, measured: Callable[[], ProfiledTimes]) -> ProfiledTimes:
        """Return the time of fp32 and of a recipe's model, op by op."""

        def compute() -> Any:
            return (self.profiles.get(recipe.id) or measured()).model_dump(mode="json")

        times = ProfiledTimes.model_validate(self.journal.step(f"profile {recipe.id}", compute, kind=ProfiledTimes))
        self.used_profiles[recipe.id] = times
        return times

    def added_to(self, table: LatencyTable) -> LatencyTable:
        """Return a table with the times that were used here too."""
        profiles = {**table.profiles, **self.used_profiles}
        return table.model_copy(update={"rewrites": self.used, "profiles": profiles})


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run whose inputs are known to be good.

    Attributes:
        request: What the run does, every path decided.
        folder: Where everything goes.
        source: The model as the user gave it.
        entry: The catalog's entry, where the weights are known.
        model: The prepared fp32 model; its first output is its scores.
        whole: The same with everything that its file gives, and in its form, which the written files are held against.
        ending: What the file gives beyond scores, and the written files too; None: nothing.
        form: The layout and the types that the file takes and gives, and the written files too.
        images: The decoded images, and the preprocessing that ``model`` takes.
        stages: Timed stages so far.
        progress: Receives the progress of everything that takes long.
        machine: This CPU, and what int8 is expected to gain on it; None: not estimated.
        notes: What a reader should know of how the model was taken.
        all_images: Makes a pass over all evaluation images.
    """

    request: RunRequest
    folder: RunFolder
    source: ModelArtifact
    entry: CatalogEntry | None
    model: ModelArtifact
    whole: ModelArtifact
    ending: Ending | None
    form: GivenForm
    images: Images
    stages: Stages
    progress: Progress
    machine: MachineSection | None = None
    notes: tuple[str, ...] = ()
    all_images: EvaluationPass = evaluate

    @property
    def config(self) -> RunConfig:
        """Return all settings."""
        return self.request.config

    @property
    def recorded(self) -> RunReport | None:
        """Return the report whose recipe is built again instead of a search; None: search."""
        return self.request.recorded

    @property
    def effort(self) -> Effort:
        """Return how much each stage does."""
        return effort_of(self.config)

    @property
    def target(self) -> CpuClass:
        """Return the class of CPUs that the models are for."""
        return self.config.quantization.cpus

    @property
    def exact(self) -> bool:
        """Return whether accuracy is measured in exact sessions: this machine may compute otherwise than the target."""
        return is_exact(self.target)

    @property
    def qlinear_opset(self) -> int:
        """Return the opset of the QLinear file."""
        return max(12, known_opset(self.source.opset))

    def pair_seconds(self, seconds: float) -> float:
        """Return how long two models are measured against each other where ``seconds`` are allowed."""
        most = self.request.pair_seconds
        return seconds if most is None else min(seconds, most)

    @property
    def pair_patience(self) -> float:
        """Return how many times as long it may take until the ratio of two slow models has an interval."""
        return _PATIENCE if self.request.pair_seconds is None else 1.0

    def evaluator(self, crops: Crops, name: str) -> Evaluator:
        """Return what evaluates models on some of the images; the fp32 scores are kept under ``name``."""
        return Evaluator(
            crops=crops,
            preprocessing=self.images.preprocessing,
            scores=self.folder.work / f"{name}.scores",
            threads=available_cpus(),
            batch_size=EVALUATION_BATCH,
            exact=self.exact,
            progress=self.progress,
            all_images=self.all_images,
        )

    def batches(self, crops: Crops) -> Batches:
        """Return some of the images as the model takes them, few at a time: sessions keep what a batch took."""
        return Batches(crops, self.images.preprocessing, EVALUATION_BATCH)

    def calibration_batches(self) -> Batches:
        """Return the calibration images as the model takes them."""
        return Batches(self.images.calibration, self.images.preprocessing, _CALIBRATION_BATCH)

    def judged_by(self, criterion: Criterion, selection: Evaluator, ratios: Ratios) -> Context:
        """Return the run with what its candidates are judged by."""
        judging = self.judging_of(selection)
        return Context(**vars(self), criterion=criterion, selection=selection, judging=judging, ratios=ratios)

    def judging_of(self, selection: Evaluator) -> Selection:
        """Return what candidates are judged on: all images that trials may see, or a share of them.

        Args:
            selection: Evaluates on all of them.
        """
        certified, seed = self.images.certification is not None, self.config.tuning.random_seed
        return selection_of(selection, self.model, certified=certified, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Context(Prepared):
    """What every step of one run shares, from its search on.

    Attributes:
        criterion: What a candidate has to reach.
        selection: Evaluates models on the images that trials may see: the chosen files, and fp32.
        judging: Judges candidates and the steps to their files on these, or on a share of them.
        ratios: The run's journal, and the times that decide.
    """

    criterion: Criterion
    selection: Evaluator
    judging: Selection
    ratios: Ratios

    @property
    def is_sampled(self) -> bool:
        """Return whether candidates are judged on a share of the images."""
        return self.judging is not self.selection
