"""What every step of one run shares, after its inputs are known to be good."""

from __future__ import annotations

from dataclasses import dataclass

from quantize.config.run_config import RunConfig
from quantize.data.batches import Batches
from quantize.data.crops.crops import Crops
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import CatalogEntry
from quantize.processes.pool import available_cpus
from quantize.progress import Progress
from quantize.report.schema import RunReport
from quantize.run.evaluator import Evaluator
from quantize.run.folder import RunFolder
from quantize.run.paths import Asked
from quantize.run.preflight import Images
from quantize.run.stages import Stages
from quantize.run.target import is_exact
from quantize.target import CpuClass

_BATCH = 16


@dataclass(frozen=True)
class Context:
    """What every step of one run shares.

    Attributes:
        asked: What was asked, every path decided.
        folder: Where everything goes.
        source: The model as the user gave it.
        entry: The catalog's entry, where the weights are known.
        model: The prepared fp32 model.
        images: The decoded images, and the preprocessing that ``model`` takes.
        stages: Timed stages so far.
        progress: Told of everything that takes long.
        recorded: The report whose recipe is built again in place of a search; None: search.
    """

    asked: Asked
    folder: RunFolder
    source: ModelArtifact
    entry: CatalogEntry | None
    model: ModelArtifact
    images: Images
    stages: Stages
    progress: Progress
    recorded: RunReport | None = None

    @property
    def config(self) -> RunConfig:
        """Return all settings."""
        return self.asked.request.config

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
