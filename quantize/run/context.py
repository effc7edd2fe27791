"""What every step of one run shares, after its inputs are known to be good."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from quantize.config.run_config import RunConfig
from quantize.data.batches import Batches
from quantize.data.crops.crops import Crops
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import CatalogEntry
from quantize.processes.pool import available_cpus
from quantize.progress import Progress
from quantize.report.machine import MachineSection
from quantize.report.schema import RunReport
from quantize.report.stages import StageSection
from quantize.run.evaluator import Evaluator
from quantize.run.folder import RunFolder
from quantize.run.images import Images
from quantize.run.request import RunRequest
from quantize.run.target import is_exact
from quantize.target import CpuClass

_LOG = logging.getLogger("quantize")

_BATCH = 16


@dataclass
class Stages:
    """How long each stage of a run took, in order; each is logged when it begins."""

    _seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside; a name used again adds up."""
        if name not in self._seconds:
            _LOG.info("%s", name)
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - start

    def sections(self) -> tuple[StageSection, ...]:
        """Return every stage with its seconds, in the order of their beginning."""
        return tuple(StageSection(name=name, seconds=seconds) for name, seconds in self._seconds.items())


@dataclass(frozen=True)
class Context:
    """What every step of one run shares.

    Attributes:
        request: What the run does, every path decided.
        folder: Where everything goes.
        source: The model as the user gave it.
        entry: The catalog's entry, where the weights are known.
        model: The prepared fp32 model.
        images: The decoded images, and the preprocessing that ``model`` takes.
        stages: Timed stages so far.
        progress: Receives the progress of everything that takes long.
        machine: This CPU, and what int8 is expected to gain on it; None: not estimated.
    """

    request: RunRequest
    folder: RunFolder
    source: ModelArtifact
    entry: CatalogEntry | None
    model: ModelArtifact
    images: Images
    stages: Stages
    progress: Progress
    machine: MachineSection | None = None

    @property
    def config(self) -> RunConfig:
        """Return all settings."""
        return self.request.config

    @property
    def recorded(self) -> RunReport | None:
        """Return the report whose recipe is built again instead of a search; None: search."""
        return self.request.recorded

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
        return max(12, self.source.opset)

    def evaluator(self, crops: Crops, name: str) -> Evaluator:
        """Return what evaluates models on some of the images; the fp32 scores are kept under ``name``."""
        return Evaluator(
            crops=crops,
            preprocessing=self.images.preprocessing,
            scores=self.folder.work / f"{name}.scores",
            threads=available_cpus(),
            batch_size=_BATCH,
            exact=self.exact,
            progress=self.progress,
        )

    def batches(self, crops: Crops) -> Batches:
        """Return some of the images as the model takes them."""
        return Batches(crops, self.images.preprocessing, _BATCH)
