"""Share the passes of a run out over the workers of its sweep."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from distributed import Client
from distributed.scheduler import KilledWorker

from quantize.data.batches import Batches
from quantize.data.crops.crops import Crops, Skipped
from quantize.errors import EngineError, QuantizeError
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.scores import ScoreStore
from quantize.evaluation.shards import Shard, merged, parts_of, write_scores
from quantize.models.artifact import ModelArtifact
from quantize.progress import Progress, silent
from quantize.sweep.marks import count_with, evaluation_resource
from quantize.sweep.parts import in_parts
from quantize.sweep.shards import ShardTask, evaluate_on_worker

_LOG = logging.getLogger("quantize")


class SharedEvaluation:
    """A pass over the evaluation images in parts on other workers, with the result of ``evaluate`` byte for byte.

    Args:
        client: Connected to the sweep's scheduler.
        sweep: Identity of the sweep.
        data: The images, as the workers find them.
        labels: Their label file, or None.
        crops: Folder of decoded images.
        images: Images in a part.
        patience: Seconds to wait for a worker that evaluates, once all are lost.
    """

    def __init__(
        self, client: Client, sweep: str, data: Path, labels: Path | None, crops: Path, images: int, patience: float
    ) -> None:
        self._client = client
        self._sweep, self._data, self._labels, self._crops = sweep, data, labels, crops
        self._images, self._patience = images, patience
        self._resource = evaluation_resource()

    def __call__(
        self,
        model: ModelArtifact,
        batches: Batches,
        /,
        *,
        threads: int = 1,
        baseline: ScoreStore | None = None,
        store: Path | None = None,
        skipped: Sequence[Skipped] = (),
        exact: bool = False,
        progress: Progress = silent,
    ) -> Evaluation:
        """Return the evaluation of a model, see ``evaluate``; where no worker helps, it is made here."""
        parts = list(parts_of(batches.crops, self._images, batches.batch_size))
        shards = None
        if len(parts) > 1 and count_with(self._client, self._resource):
            tasks = [self._task(model, batches, part, baseline, exact=exact, keep=store is not None) for part in parts]
            shards = self._shards(tasks, progress)
        if shards is None:
            return evaluate(
                model,
                batches,
                threads=threads,
                baseline=baseline,
                store=store,
                skipped=skipped,
                exact=exact,
                progress=progress,
            )
        if store is not None:
            write_scores(store, model, shards)
        return merged(shards, skipped)

    def _shards(self, tasks: Sequence[ShardTask], progress: Progress) -> list[Shard] | None:
        """Return every part, in order; None where the workers cannot: the run then does it, and tells what is wrong.

        Raises:
            EngineError: A part ended worker after worker.
        """
        try:
            return in_parts(self._client, evaluate_on_worker, tasks, self._resource, self._patience, progress)
        except QuantizeError as error:
            _LOG.warning("workers could not evaluate, the run goes on by itself: %s", error)
            return None
        except KilledWorker as error:
            raise EngineError(
                "an evaluation ended every worker that took it",
                where=str(tasks[0].model.path),
                found=str(error).splitlines()[0],
                expected="a model that onnxruntime runs",
                advice="look into the logs of the workers; the kernel may have ended them for want of memory",
            ) from None

    def _task(
        self,
        model: ModelArtifact,
        batches: Batches,
        part: Crops,
        baseline: ScoreStore | None,
        *,
        exact: bool,
        keep: bool,
    ) -> ShardTask:
        return ShardTask(
            sweep=self._sweep,
            model=model,
            data=self._data,
            labels=self._labels,
            preprocessing=batches.preprocessing,
            batch_size=batches.batch_size,
            crops=self._crops,
            ids=part.ids,
            truth=part.labels,
            digests=part.digests,
            baseline=None if baseline is None else _rows_of(baseline, part.ids),
            exact=exact,
            keeps_scores=keep,
        )


def _rows_of(store: ScoreStore, ids: Sequence[str]) -> ScoreStore:
    """Return the scores of some images, in memory."""
    rows = {name: row for row, name in enumerate(ids)}
    return ScoreStore(store.graph_sha256, tuple(ids), store.kind, np.ascontiguousarray(store.of(ids)), rows)
