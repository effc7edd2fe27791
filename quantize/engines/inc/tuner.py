"""Neural Compressor as a tuner, and as the builder that reproduces its choices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from pathlib import Path

from quantize.criterion import Criterion
from quantize.data.batches import Batch
from quantize.engines.exchange import keep_candidate, write_images
from quantize.engines.inc.conversation import Conversation
from quantize.engines.inc.decision import calibration_images_of, container_of
from quantize.engines.inc.job import (
    building_job,
    container_for,
    require_neural_compressor,
    tuning_job,
)
from quantize.engines.inc.search import Measured, Search, StopReason
from quantize.engines.inc.settings import IncSettings
from quantize.engines.placement.placed_model import placed, placed_nodes
from quantize.engines.task import EvaluateCallback
from quantize.engines.trial import Trial
from quantize.files import scratch_folder
from quantize.models.artifact import ModelArtifact, save_model
from quantize.processes.child import ChildProcess
from quantize.recipe import Recipe

_WORKER = "quantize.engines.inc.worker:main"
_LOG = "neural_compressor.log"
_CANDIDATES = "candidates"


class IncTuner:
    """Lets Neural Compressor search for a quantized model that meets a criterion.

    It runs in a child process in a folder of its own inside ``work``, which is removed at the end; what it printed
    stays in ``work/neural_compressor.log`` and every candidate in ``work/candidates/<recipe id>.onnx``.

    Args:
        settings: How to search.
        work: The run's work folder.
        known: Metric of recipes that were measured before (a resumed run): they are not measured or yielded again.
        watch: Called with the child's process id each time that it has built a candidate.
        graphs: What was measured before, by the candidate's ``graph_sha256``: such a graph is not run again.
        rejected: Ids of recipes that do not count as met: what was written from them missed the criterion.

    Attributes:
        stopped: Why the last search ended; None before one ended.
    """

    def __init__(
        self,
        settings: IncSettings,
        work: Path,
        known: Mapping[str, float] | None = None,
        watch: Callable[[int], None] | None = None,
        graphs: Mapping[str, Measured] | None = None,
        rejected: Collection[str] = (),
    ) -> None:
        self._settings = settings
        self._watch = watch
        self._work = work
        self._known = dict(known or {})
        self._graphs, self._rejected = graphs, rejected
        self.stopped: StopReason | None = None

    def tune(
        self, model: ModelArtifact, criterion: Criterion, evaluate: EvaluateCallback, batches: Iterable[Batch]
    ) -> Generator[Trial, None, None]:
        """Yield every trial as it is finished; closing the iterator, or Ctrl-C, ends the child process at once.

        Args:
            model: The prepared fp32 model; opset 11 or newer, 13 for QDQ.
            criterion: What is good enough.
            evaluate: Measures a candidate; its exceptions pass through, except ModelError, which fails the trial.
            batches: The calibration set.

        Raises:
            EngineError: Neural Compressor is missing, failed or died (names the stage), or drops a constraint.
        """
        require_neural_compressor()
        self.stopped = None
        container = container_for(self._settings, model)
        search = Search(
            self._settings,
            model.proto(),
            criterion,
            evaluate,
            container,
            self._work / _CANDIDATES,
            self._known,
            self._graphs,
            self._rejected,
        )
        try:
            with scratch_folder("inc", inside=self._work) as folder:
                images = write_images(batches, folder / "images.f32", self._settings.sampling_size)
                job = tuning_job(self._settings, model, images)
                with _neural_compressor(folder, self._work / _LOG) as worker:
                    yield from search.trials(Conversation(worker, folder, job, self._watch))
        finally:
            self.stopped = search.stopped


class IncBuilder:
    """Builds a recipe of this engine again, without a search.

    Args:
        work: The run's work folder.
    """

    def __init__(self, work: Path) -> None:
        self._work = work

    def build(self, model: ModelArtifact, recipe: Recipe, batches: Iterable[Batch], /) -> ModelArtifact:
        """Return the model that a recipe led to, its placement included: the same graph, from the same calibration set.

        Args:
            model: The prepared fp32 model, the same as in the search.
            recipe: A trial's recipe.
            batches: The calibration set, the same as in the search.

        Raises:
            EngineError: Neural Compressor is missing, failed or died, or the calibration set is another one.
            ValueError: The recipe is another engine's.
        """
        require_neural_compressor()
        container_of(recipe)
        with scratch_folder("inc", inside=self._work) as folder:
            images = write_images(batches, folder / "images.f32", calibration_images_of(recipe))
            job = building_job(model, recipe, images)
            with _neural_compressor(folder, self._work / _LOG) as worker:
                message = Conversation(worker, folder, job).next_event(deadline=None)
            built = keep_candidate(Path(message["path"]), self._work / _CANDIDATES, recipe.id, model.proto())
        if placed_nodes(recipe) is None:
            return built
        return save_model(placed(built.proto(), model.proto(), recipe), built.path)


def _neural_compressor(folder: Path, log: Path) -> ChildProcess:
    # The order of its sets of tensor names decides the order of nodes.
    return ChildProcess(_WORKER, folder=folder, stderr=log, environment={"PYTHONHASHSEED": "0"})
