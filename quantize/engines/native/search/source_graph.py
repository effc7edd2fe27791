"""An fp32 graph from which candidates are built, with its calibration statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx

from quantize.calibration.collect import collect
from quantize.calibration.moment_pass import collect_second_moments
from quantize.calibration.second_moments import MergedMoments, SecondMoments, stored_moments
from quantize.calibration.statistics import CalibrationStatistics
from quantize.calibration.store import stored_statistics
from quantize.data.batches import Batch
from quantize.engines.float_nodes import nodes_in_float
from quantize.engines.native.builder.builder import NativeBuilder, source_graph
from quantize.engines.native.builder.kept import Kept
from quantize.engines.native.builder.layers import windows
from quantize.engines.task import CalibrationSet
from quantize.formats.float_reasons import FloatReason
from quantize.graph.identity import graph_sha256
from quantize.models.artifact import ModelArtifact
from quantize.processes.memory import give_back_unused
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

MOMENT_IMAGES = "moment_images"
"""Recipe detail: how many images the layers' second moments were collected on."""

_SCORE_IMAGES = 128
"""Images that scores are corrected on, at most."""

Part = Literal["even", "odd", "all"]
HALVES: tuple[Part, Part] = ("even", "odd")
"""Corrections are judged on images that their statistics did not see: each half is scored with candidates built from
the other one, so that all images count. The final candidates are built from both."""


def images_of(calibration: CalibrationSet, part: Part = "all", most: int | None = None) -> Iterator[Batch]:
    """Yield the calibration images, or every other one of them, at most so many."""
    left, position = most, 0
    for batch in calibration.batches:
        numbers = range(position, position + len(batch.images))
        position += len(batch.images)
        chosen = [at for at, number in enumerate(numbers) if part == "all" or HALVES[number % 2] == part][:left]
        left = None if left is None else left - len(chosen)
        if chosen:
            labels = None if batch.labels is None else batch.labels[chosen]
            yield Batch(tuple(batch.ids[at] for at in chosen), batch.images[chosen], labels)
        if left == 0:
            return


@dataclass(frozen=True)
class PartOfImages:
    """Some calibration images, see ``images_of``, which can be iterated as often as needed."""

    calibration: CalibrationSet
    part: Part = "all"
    most: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        """Yield the images batch by batch."""
        return images_of(self.calibration, self.part, self.most)


def can_be_halved(calibration: CalibrationSet) -> bool:
    """Return whether there is an image in both halves."""
    return calibration.count > 1


class SourceGraph:
    """One fp32 graph with its statistics and second moments, kept in the run's work folder."""

    def __init__(
        self,
        make: Callable[[], onnx.ModelProto],
        calibration: CalibrationSet,
        folder: Path,
        *,
        moment_images: int,
        threads: int,
        kept: Kept | None = None,
        progress: Progress = silent,
    ) -> None:
        """Set up; everything else is computed when it is first needed.

        Args:
            make: Returns the graph that candidates are built from, the same one whenever it is called.
            calibration: The images.
            folder: Where the statistics are kept, and candidates in ``candidates/``.
            moment_images: Images that second moments are collected on, at most.
            threads: Cores that may be used.
            kept: Keeps what takes long of weights for all graphs of a search; None: for this one, all of it.
            progress: Called after every image.
        """
        self._make = make
        self._graph: onnx.ModelProto | None = None
        self._calibration, self._folder = calibration, folder
        self._moment_images, self._threads, self._progress = moment_images, threads, progress
        self._kept = Kept() if kept is None else kept
        self._fingerprints = {"model": graph_sha256(self.graph), "images": calibration.fingerprint}
        self._statistics: dict[Part, CalibrationStatistics] = {}
        self._moments: dict[Part, Mapping[str, SecondMoments]] = {}
        self._builders: dict[Part, NativeBuilder] = {}

    @property
    def graph(self) -> onnx.ModelProto:
        """Return the graph that candidates are built from, made anew after ``release``."""
        if self._graph is None:
            self._graph = self._make()
        return self._graph

    def statistics(self, part: Part) -> CalibrationStatistics:
        """Return the statistics of a part of the images, from the folder if they are there."""
        if part not in self._statistics:
            if part == "all" and can_be_halved(self._calibration):
                first, second = (self.statistics(half) for half in HALVES)
                self._statistics[part] = first.merged(second)
            else:
                self._statistics[part] = self._stored_statistics(part)
                give_back_unused()
        return self._statistics[part]

    def moments(self, part: Part) -> Mapping[str, SecondMoments]:
        """Return the second moments of the layers' inputs, from the folder if they are there."""
        if part not in self._moments:
            if part == "all" and can_be_halved(self._calibration):
                first, second = (self.moments(half) for half in HALVES)
                self._moments[part] = MergedMoments(first, second)
            else:
                self._moments[part] = self._stored_moments(part)
                give_back_unused()
        return self._moments[part]

    def builder(self, part: Part = "all") -> NativeBuilder:
        """Return the builder for a part of the images."""
        if part not in self._builders:
            folder = self._folder / "candidates"
            self._builders[part] = NativeBuilder(
                folder,
                partial(self.moments, part),
                partial(self._score_images, part),
                threads=self._threads,
                kept=self._kept,
                source=lambda: self.graph,
                progress=self._progress,
            )
        return self._builders[part]

    def build(self, model: ModelArtifact, recipe: Recipe) -> ModelArtifact:
        """Return the candidate of a recipe, built from all images.

        Args:
            model: The fp32 model.
            recipe: What to build, from this graph.
        """
        return self.builder().build(model, recipe, self.statistics("all"))

    def release(self) -> None:
        """Free what takes much memory, and can be computed again or read from its file."""
        for builder in self._builders.values():
            builder.release()
        self._graph = None
        self._statistics.clear()
        self._moments.clear()

    def _score_images(self, part: Part) -> Iterator[npt.NDArray[np.float32]]:
        most = _SCORE_IMAGES if part == "all" else _SCORE_IMAGES // 2
        return (batch.images for batch in images_of(self._calibration, part, most))

    def _stored_statistics(self, part: Part) -> CalibrationStatistics:
        fingerprints = self._fingerprints | {"part": part}
        return stored_statistics(
            self._folder,
            fingerprints,
            lambda: collect(
                self.graph,
                images_of(self._calibration, part),
                threads=max(1, self._threads - 1),
                fingerprints=fingerprints,
                progress=self._progress,
            ),
        )

    def _stored_moments(self, part: Part) -> Mapping[str, SecondMoments]:
        most = self._moment_images if part == "all" else max(1, self._moment_images // 2)
        return stored_moments(
            self._folder,
            self._fingerprints | {"part": part, "most": str(most)},
            lambda: collect_second_moments(
                self.graph,
                list(windows(self.graph)),
                PartOfImages(self._calibration, part, most),
                threads=self._threads,
                progress=self._progress,
            ),
        )


def rebuild(
    model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path, *, threads: int
) -> ModelArtifact:
    """Return the candidate of a native recipe built again: the same model, recipe and images give the same bytes.

    Args:
        model: The prepared fp32 model.
        recipe: As a search chose it.
        calibration: The same images in the same order.
        folder: Where statistics are kept and ``candidates/`` is written.
        threads: Cores that may be used.
    """
    return _source_of(model, recipe, calibration, folder, threads=threads).build(model, recipe)


def stays_in_float(
    model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path, *, threads: int
) -> dict[str, FloatReason]:
    """Return the nodes that every candidate of a recipe's types leaves in float, and why; arguments as for ``rebuild``.

    The statistics of a recipe that was built in the folder are there already.
    """
    source = _source_of(model, recipe, calibration, folder, threads=threads)
    return nodes_in_float(source.graph, recipe, known=source.statistics("all").tensors)


def _source_of(
    model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path, *, threads: int
) -> SourceGraph:
    moment_images = int(dict(recipe.details).get(MOMENT_IMAGES, "64"))
    graph = partial(source_graph, model, recipe)
    return SourceGraph(graph, calibration, folder, moment_images=moment_images, threads=threads)
