"""The calibration pass that collects the second moments of each layer's inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from quantize.calibration.exposure import OneImage, single_images, with_outputs
from quantize.calibration.layer_inputs import POSITIONS, Sampling, Window, sampling
from quantize.calibration.one_ahead import one_ahead
from quantize.calibration.second_moments import SecondMoments
from quantize.data.batches import Batch
from quantize.graph.view import Graph
from quantize.models.weights_apart import WeightsApart, bytes_of_constants, weights_apart
from quantize.processes.memory import give_back_unused
from quantize.progress import Progress, silent

LARGEST = 2304
"""Inputs of one output channel above which a layer's moments are not collected: the matrix has their square."""

_TOGETHER, _PER_INPUT = 1024, 4
"""Samples that are multiplied at once: that many, or so many times the inputs: a Conv of few has many groups."""
_PART_BYTES = 4_000_000
"""Samples that are made at a time, where they are made of images: what a CPU's caches hold."""

_PASS_BYTES, _TIMES_WEIGHTS = 60_000_000, 2
"""Bound on what is held while the images are run once: so much and twice the weights."""

_SUM, _SAMPLE = 8, 4
"""Bytes of a float64 and of a float32."""

_Multiplied = tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]
"""Sums over samples: products (groups, inputs, inputs), and the samples themselves (groups, inputs)."""


def collect_second_moments(
    model: onnx.ModelProto,
    windows: Sequence[Window],
    batches: Iterable[Batch],
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> Iterator[tuple[str, SecondMoments]]:
    """Run ``model`` over the images and yield the moments of the layers' inputs, each with its node.

    Those of all layers may take more memory than the model: none are kept here that were yielded.

    Args:
        model: The fp32 model.
        windows: The layers to look at.
        batches: Images as the model takes them, float32 (N, ...); 32 to 64 of them are enough. They are run through the
            model more than once, and so iterated, where the layers' moments are large.
        threads: Intra-op threads of the session.
        progress: Called after each image.
    """
    before = 0

    def counted(stage: str, done: int, total: int | None) -> None:
        progress(stage, before + done, total)

    with weights_apart(model) as apart:
        for part in _parts(windows, bytes_of_constants(model)):
            sums, images = _collected(apart, part, batches, threads, counted)
            for window in part:
                yield window.node, sums.pop(window.node).moments()
            before += images
            give_back_unused()


def _parts(windows: Sequence[Window], weight_bytes: int) -> Iterator[list[Window]]:
    """Yield the layers in parts whose sums and samples are not too large: the images are run anew for each."""
    most = _PASS_BYTES + _TIMES_WEIGHTS * weight_bytes
    part: list[Window] = []
    size = 0
    for window in windows:
        own = window.group * window.inputs * (_SUM * window.inputs + _SAMPLE * (_together(window.inputs) + POSITIONS))
        if part and size + own > most:
            yield part
            part, size = [], 0
        part.append(window)
        size += own
    if part:
        yield part


def _together(inputs: int) -> int:
    """Return how many samples are multiplied at once: adding the matrix of all is the smaller part of it then."""
    return min(_TOGETHER, max(POSITIONS, _PER_INPUT * inputs))


def _collected(
    apart: WeightsApart, windows: Sequence[Window], batches: Iterable[Batch], threads: int, progress: Progress
) -> tuple[dict[str, _Sums], int]:
    graph = apart.model.graph
    exposed = sorted({window.input for window in windows} - {value.name for value in graph.input})
    # Layers that read the image alone need no run at all; else what lies behind the last of them is left out, which
    # onnxruntime would run.
    outputs = exposed or [value.name for value in graph.output]
    model = Graph(with_outputs(apart.model, outputs)).model()
    runner = OneImage(apart.open(model, threads=threads))
    sums = {window.node: _Sums(window) for window in windows}

    def infer(image: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        return {runner.input: image, **dict(zip(exposed, runner.run(exposed, image), strict=True))}

    seen = 0
    for seen, values in enumerate(one_ahead(infer, single_images(batches)), start=1):
        for window in windows:
            sums[window.node].add(values[window.input])
        progress("second moments", seen, None)
    return sums, seen


class _Sums:
    """Sums over the samples of one layer while the pass runs.

    Adding a large matrix takes longer than multiplying few samples, so those of some images are multiplied at once.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._pending: _Samples | _Planes | None = None
        self._products: npt.NDArray[np.float64] | None = None
        self._sums: npt.NDArray[np.float64] | None = None
        self._count = 0

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Add the samples of an image."""
        of_image = sampling(self._window, values.shape)
        if self._pending is None or self._pending.sampling is not of_image:
            self._flush()
            self._pending = (_Planes if of_image.is_smaller_whole else _Samples)(of_image)
        self._pending.add(values)
        if self._pending.count >= _together(of_image.inputs):
            self._flush()

    def moments(self) -> SecondMoments:
        """Return the moments of all that was added."""
        self._flush()
        assert self._products is not None
        assert self._sums is not None
        return SecondMoments(
            products=(self._products / self._count).astype(np.float32),
            means=(self._sums / self._count).astype(np.float32),
            samples=self._count,
        )

    def _flush(self) -> None:
        if self._pending is None or not self._pending.count:
            return
        self._count += self._pending.count
        products, sums = self._pending.multiplied()
        if self._products is None or self._sums is None:
            self._products, self._sums = products.astype(np.float64), sums
        else:
            self._products += products
            self._sums += sums


class _Samples:
    """Samples of a layer, and how many there are.

    They lie in memory that is used again: that the system clears new pages for every image would take as long as the
    rest.
    """

    def __init__(self, of_image: Sampling) -> None:
        self.sampling, self.count = of_image, 0
        together = _together(of_image.inputs)
        self._samples = np.empty((of_image.groups, together + POSITIONS, of_image.inputs), np.float32)

    def add(self, values: npt.NDArray[np.float32]) -> None:
        end = self.count + self.sampling.samples
        self.sampling.take(values, self._samples[:, self.count : end])
        self.count = end

    def multiplied(self) -> _Multiplied:
        """Return the sums over all samples, and forget them."""
        samples = self._samples[:, : self.count]
        self.count = 0
        return _multiplied(samples)


class _Planes:
    """Images of a depthwise Conv's input, and how many samples there are of them.

    The windows of the samples overlap: some times as many values, which are made for some channels at a time.
    """

    def __init__(self, of_image: Sampling) -> None:
        self.sampling, self.count = of_image, 0
        images = -(-_together(of_image.inputs) // of_image.samples)
        # Behind each image the 0 that is read where a window lies in the padding, at -1.
        self._planes = np.zeros((of_image.groups, images, of_image.plane + 1), np.float32)

    def add(self, values: npt.NDArray[np.float32]) -> None:
        image = self.count // self.sampling.samples
        self._planes[:, image, :-1] = values[0].reshape(-1, self.sampling.plane)
        self.count += self.sampling.samples

    def multiplied(self) -> _Multiplied:
        """Return the sums over all samples, and forget them."""
        whole, inputs = self.sampling.plane + 1, self.sampling.inputs
        firsts = whole * np.arange(self.count // self.sampling.samples)
        index = (firsts[:, None] + self.sampling.index.reshape(-1) % whole).reshape(-1)
        groups = max(1, _PART_BYTES // (4 * index.size))
        self.count = 0
        flat = self._planes.reshape(len(self._planes), -1)
        parts = [
            _multiplied(np.take(flat[start : start + groups], index, axis=1).reshape(-1, index.size // inputs, inputs))
            for start in range(0, len(flat), groups)
        ]
        products, sums = zip(*parts, strict=True)
        return np.concatenate(products), np.concatenate(sums)


def _multiplied(samples: npt.NDArray[np.float32]) -> _Multiplied:
    return np.matmul(samples.swapaxes(1, 2), samples), samples.sum(axis=1, dtype=np.float64)
