"""How far a candidate's scores are from the fp32 model's, on images that are read again for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from quantize.data.batches import Batch
from quantize.engines.native.builder.scores import of_size
from quantize.engines.native.search.candidate_builder import CandidateBuilder
from quantize.engines.native.search.recipe_choice import IsHopeless
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.engines.native.search.source_graph import Part, PartOfImages
from quantize.evaluation.fidelity import Fidelity, fidelity_of
from quantize.evaluation.inference import by_class, scores_of
from quantize.evaluation.overlap import overlapped
from quantize.formats.exact import open_exact_session
from quantize.models.artifact import ModelArtifact
from quantize.models.session import NOT_RUN, open_session
from quantize.provenance import fingerprint
from quantize.recipe import Recipe

_LOG = logging.getLogger("quantize")
_NOT_RUN = 1e6
"""Divergence in nats of a candidate that onnxruntime does not open or run: further than any that it does."""
_MICRO_BATCH = 4

Given = TypeVar("Given")
Result = TypeVar("Result")


class Scorer:
    """The fp32 model's scores on some images, and candidates' fidelity to them."""

    def __init__(self, model: ModelArtifact, batches: Iterable[Batch], *, most: int, threads: int) -> None:
        """Run the fp32 model.

        Args:
            model: The fp32 model, the reference side.
            batches: Images as the model takes them, iterated as often as needed, of which the first ``most`` count.
            most: How many images to score at most.
            threads: Micro-batches that run at a time.
        """
        self._batches, self._most = batches, most
        self._images: npt.NDArray[np.float32] | None = None
        self._threads = threads
        self._contract = model.contract
        fixed = model.contract.fixed_batch or 1
        self._micro_batch = -(-_MICRO_BATCH // fixed) * fixed
        self._kind = model.contract.scores
        self.reference = self._scores(open_session(model.path, threads=1, spinning=False))

    @property
    def images(self) -> npt.NDArray[np.float32]:
        """Return the images, float32 (N, C, H, W), read when they are first asked for, and kept until ``release``."""
        if self._images is None:
            self._images = np.concatenate(list(self._first()))
        return self._images

    def release(self) -> None:
        """Free the images, which can be read again."""
        self._images = None

    def map(self, run: Callable[[Given], Result], given: Sequence[Given]) -> list[Result]:
        """Return ``run(value)`` for all values, in their order; several run at a time.

        Two runs on a core each take less time together than one after the other on both cores: nothing waits within an
        op.
        """
        if self._threads == 1 or len(given) < 2:
            return [run(value) for value in given]
        return list(self._pool.map(run, given))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads)

    def fidelity(self, candidate: onnx.ModelProto) -> Fidelity:
        """Return the fidelity of a candidate with the fp32 model's contract, computed without saturation."""
        scores = self._scores(open_exact_session(candidate))
        return fidelity_of(self.reference, scores, self._kind, self._contract.task)

    def divergences(self, scores: npt.NDArray[np.float32], part: slice) -> list[float]:
        """Return KL(fp32 || changed) in nats of each image of a part, from scores (N, classes)."""
        of_images: list[float] = fidelity_of(
            self.reference[part], by_class(scores, self._contract), self._kind, self._contract.task
        ).divergences.tolist()
        return of_images

    def _scores(self, session: onnxruntime.InferenceSession) -> npt.NDArray[np.float32]:
        parts = of_size(self._micro_batch, self._first())
        scored = overlapped(lambda images: scores_of(session, self._contract, images), parts, self._threads)
        return np.concatenate([scores for _, scores in scored])

    def _first(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the images batch by batch, at most as many as are to be scored.

        Raises:
            ValueError: There are none.
        """
        left = self._most
        for batch in self._batches:
            if left <= 0:
                break
            yield batch.images[:left]
            left -= len(batch.images)
        if left == self._most:
            raise ValueError("no images to score on")


class CrossValidation:
    """Scores candidates on calibration images that their statistics did not see: each half with the other's."""

    def __init__(self, builder: CandidateBuilder, journal: SearchJournal, *, most: int, threads: int) -> None:
        """Set up.

        Args:
            builder: Builds candidates of the fp32 model, the reference side.
            journal: Remembers what was scored.
            most: Images of each half that are scored, at most.
            threads: Micro-batches that run at a time.
        """
        self._builder, self._journal, self._most, self._threads = builder, journal, most, threads
        self._scorers: dict[Part, Scorer] = {}
        self._divergences: dict[tuple[str, Part], list[float]] = {}

    def divergences(self, recipe: Recipe, is_hopeless: IsHopeless | None = None, /) -> tuple[float, ...]:
        """Return the KL from fp32 of every image, in nats.

        Args:
            recipe: The recipe.
            is_hopeless: Says of the images of one half whether those of the other need not be scored.
        """
        of_images: list[float] = []
        for seen, scored in self._builder.folds():
            if of_images and is_hopeless is not None and is_hopeless(of_images):
                break
            compute = partial(self._of_fold, recipe, seen, scored)
            name = f"divergences:{recipe.id}:{scored}"
            of_images += self._journal.remember("choose recipe", name, compute, list[float])
        return tuple(of_images)

    def _of_fold(self, recipe: Recipe, seen: Part, scored: Part) -> list[float]:
        # Rules often give the same range; the same candidate is not scored twice.
        key = self._signature(recipe, seen), scored
        if key not in self._divergences:
            source = self._builder.source(recipe)
            # Rewrites are for the time, and change no score by more than rounding.
            bare = recipe.but(rewrites=())
            candidate = source.builder(seen).graph(self._builder.model, bare, source.statistics(seen))
            scorer = self._scorer(scored)
            try:
                self._divergences[key] = scorer.fidelity(candidate).divergences.tolist()
            except NOT_RUN as error:  # a fact about this recipe, not about the run
                _LOG.warning("onnxruntime does not run the candidate of recipe %s: %s", recipe.id, error)
                self._divergences[key] = [_NOT_RUN] * len(scorer.reference)
        return self._divergences[key]

    def _scorer(self, part: Part) -> Scorer:
        if part not in self._scorers:
            batches = PartOfImages(self._builder.calibration, part, self._most)
            self._scorers[part] = Scorer(self._builder.model, batches, most=self._most, threads=self._threads)
        return self._scorers[part]

    def _signature(self, recipe: Recipe, seen: Part) -> str:
        """Return what tells candidates apart: the recipe with its rules replaced by the grids that they give."""
        source = self._builder.source(recipe)
        given = source.builder(seen).used_grids(self._builder.model, recipe, source.statistics(seen))
        grids = {name: [float(grid.scale), int(grid.zero_point)] for name, grid in given.items()}
        return fingerprint([recipe.but(range_rule="", range_rules=()).model_dump(mode="json"), grids])
