"""What candidates are built from: statistics of the calibration images, whole and in two halves.

Corrections are judged on calibration images that their statistics did not see: each half of the images is scored
with candidates built from the other half, so all of them count. The final candidates are built from both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx

from quantize.calibration.collect import collect
from quantize.calibration.second_moments import SecondMoments, collect_second_moments
from quantize.calibration.statistics import CalibrationStatistics
from quantize.calibration.store import stored_moments, stored_statistics
from quantize.data.batch import Batch
from quantize.engines.native import ROUNDING, SCORES, NativeBuilder, source_graph
from quantize.engines.native_windows import windows
from quantize.models.artifact import ModelArtifact
from quantize.models.identity import graph_sha256
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

Part = Literal["even", "odd", "all"]
HALVES: tuple[Part, Part] = ("even", "odd")

MOMENT_IMAGES = "moment_images"
"""Recipe detail: how many images the layers' second moments were collected on."""


SCORE_IMAGES = 128
"""Images that scores are corrected on, at most."""


class Calibration:
    """The calibration images, as a whole and in two halves: every other image."""

    def __init__(self, batches: Iterable[Batch], fingerprint: str, layout: Literal["NCHW", "NHWC"] = "NCHW") -> None:
        """Set up.

        Args:
            batches: The images, (N, 3, H, W); iterated several times.
            fingerprint: Of the images and their preprocessing.
            layout: How the model takes them.
        """
        self._batches = batches
        self._axes = (0, 1, 2, 3) if layout == "NCHW" else (0, 2, 3, 1)
        self.fingerprint = fingerprint

    def images(self, part: Part = "all", most: int | None = None) -> Iterator[Batch]:
        """Yield the images of a part as the model takes them, at most so many."""
        left, position = most, 0
        for batch in self._batches:
            numbers = range(position, position + len(batch.images))
            position += len(batch.images)
            chosen = [at for at, number in enumerate(numbers) if part == "all" or HALVES[number % 2] == part][:left]
            left = None if left is None else left - len(chosen)
            if chosen:
                labels = None if batch.labels is None else batch.labels[chosen]
                images = np.ascontiguousarray(batch.images[chosen].transpose(self._axes))
                yield Batch(tuple(batch.ids[at] for at in chosen), images, labels)
            if left == 0:
                return

    def can_be_halved(self) -> bool:
        """Return whether there is an image in both halves."""
        return sum(len(batch.images) for batch in self.images(most=2)) == 2


class Evidence:
    """Statistics and second moments of one fp32 graph, kept in the run's work folder."""

    def __init__(
        self,
        graph: onnx.ModelProto,
        calibration: Calibration,
        folder: Path,
        *,
        moment_images: int,
        threads: int,
        progress: Progress = silent,
    ) -> None:
        """Set up for ``graph``; nothing is computed until it is asked for.

        Args:
            graph: The graph that candidates are built from.
            calibration: The images.
            folder: Where the statistics are kept.
            moment_images: Images that second moments are collected on, at most.
            threads: Cores that may be used.
            progress: Told after every image.
        """
        self.graph = graph
        self._calibration, self._folder = calibration, folder
        self._moment_images, self._threads, self._progress = moment_images, threads, progress
        self._fingerprints = {"model": graph_sha256(graph), "images": calibration.fingerprint}
        self._statistics: dict[Part, CalibrationStatistics] = {}
        self._moments: dict[Part, Mapping[str, SecondMoments]] = {}
        self._builders: dict[Part, NativeBuilder] = {}

    def statistics(self, part: Part) -> CalibrationStatistics:
        """Return the statistics of a part of the images, from the folder where they are there."""
        if part not in self._statistics:
            if part == "all" and self._calibration.can_be_halved():
                first, second = (self.statistics(half) for half in HALVES)
                self._statistics[part] = first.merged(second)
            else:
                self._statistics[part] = self._stored_statistics(part)
        return self._statistics[part]

    def moments(self, part: Part) -> Mapping[str, SecondMoments]:
        """Return the second moments of the layers' inputs, from the folder where they are there."""
        if part not in self._moments:
            if part == "all" and self._calibration.can_be_halved():
                first, second = (self.moments(half) for half in HALVES)
                self._moments[part] = {node: found.merged(second[node]) for node, found in first.items()}
            else:
                self._moments[part] = self._stored_moments(part)
        return self._moments[part]

    def images(self, part: Part) -> list[npt.NDArray[np.float32]]:
        """Return batches of a part of the images, at most 128 in all, that scores are corrected on."""
        most = SCORE_IMAGES if part == "all" else SCORE_IMAGES // 2
        return [batch.images for batch in self._calibration.images(part, most)]

    def builder(self, recipe: Recipe, part: Part) -> NativeBuilder:
        """Return the builder of a part of the images, with what a recipe's corrections need of them."""
        builder = self._builders.setdefault(part, NativeBuilder(self._folder / "candidates"))
        if ROUNDING in recipe.corrections:
            builder.use_moments(self.moments(part))
        if SCORES in recipe.corrections:
            builder.use_images(self.images(part))
        return builder

    def _stored_statistics(self, part: Part) -> CalibrationStatistics:
        fingerprints = self._fingerprints | {"part": part}
        found, _ = stored_statistics(
            self._folder,
            fingerprints,
            lambda: collect(
                self.graph,
                self._calibration.images(part),
                threads=max(1, self._threads - 1),
                fingerprints=fingerprints,
                progress=self._progress,
            ),
        )
        return found

    def _stored_moments(self, part: Part) -> Mapping[str, SecondMoments]:
        most = self._moment_images if part == "all" else max(1, self._moment_images // 2)
        found, _ = stored_moments(
            self._folder,
            self._fingerprints | {"part": part, "most": str(most)},
            lambda: collect_second_moments(
                self.graph,
                list(windows(self.graph)),
                self._calibration.images(part, most),
                threads=self._threads,
                progress=self._progress,
            ),
        )
        return found


def rebuilt(
    model: ModelArtifact, recipe: Recipe, calibration: Calibration, folder: Path, *, threads: int
) -> ModelArtifact:
    """Return the candidate of a native recipe built again: the same model, recipe and images give the same bytes.

    Args:
        model: The prepared fp32 model.
        recipe: As a search chose it.
        calibration: The same images in the same order.
        folder: Where statistics are kept and ``candidates/`` is written.
        threads: Cores that may be used.
    """
    evidence = Evidence(
        source_graph(model.proto(), recipe),
        calibration,
        folder,
        moment_images=int(dict(recipe.details).get(MOMENT_IMAGES, "64")),
        threads=threads,
    )
    return evidence.builder(recipe, "all").build(model, recipe, evidence.statistics("all"))
