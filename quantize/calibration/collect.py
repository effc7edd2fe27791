"""The single streaming pass over the calibration images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx

from quantize.calibration.exposure import Exposure, OneImage, expose, single_images
from quantize.calibration.one_ahead import one_ahead
from quantize.calibration.statistics import CalibrationStatistics, ChannelMeans, TensorStatistics
from quantize.data.batches import Batch
from quantize.errors import DataError, ModelError
from quantize.grid.grid import can_be_held
from quantize.grid.histogram import CODES, Histogram, codes_of
from quantize.models.weights_apart import weights_apart
from quantize.progress import Progress, silent

# Small tensors wait until this many values are there: counting costs a fixed 0.1 ms.
_PENDING = 1 << 17
_COLOURS = 3


def collect(
    model: onnx.ModelProto,
    batches: Iterable[Batch],
    *,
    threads: int = 1,
    fingerprints: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> CalibrationStatistics:
    """Run ``model`` once over all images and return the statistics of all its float tensors.

    A tensor that was infinite, or whose values are all too near to 0 for a grid, has none; the model's input and
    outputs always have.

    Images go through the model one by one, so the result does not depend on the batch size; nothing is kept of an
    image but counts. While one image is counted the next one is computed.

    Args:
        model: The fp32 model.
        batches: Images as the model takes them, float32 (N, C, H, W).
        threads: Intra-op threads of the session; counting takes one more.
        fingerprints: What the result is recorded to come from.
        progress: Called after each image.

    Raises:
        DataError: If there is no image.
        ModelError: If the input or an output takes a value that is not finite.
    """
    with weights_apart(model) as apart:
        exposure = expose(apart.model)
        runner = OneImage(apart.open(exposure.model, threads=threads))
    names = [*exposure.observed, *(output for _, output in exposure.means)]
    input_name = runner.input
    counters = {name: _Counter() for name in (input_name, *exposure.observed)}
    means: dict[str, ChannelMeans] = {}
    seen = 0
    required = {input_name, *(value.name for value in model.graph.output)}

    def infer(image: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.float32]]]:
        return image, runner.run(names, image)

    for image, outputs in one_ahead(infer, single_images(batches)):
        values = dict(zip(names, outputs, strict=True))
        for name in (input_name, *exposure.observed):
            counters[name].add(image if name == input_name else values[name])
            if name in required and not counters[name].finite:
                raise _not_finite(name, is_input=name == input_name)
        if image.shape[1] == _COLOURS:
            _add_mean(means, input_name, image.mean(axis=(0, 2, 3), dtype=np.float64).astype(np.float32))
        for name, output in exposure.means:
            _add_mean(means, name, values[output])
        seen += 1
        progress("calibration", seen, None)
    if not seen:
        raise DataError("the calibration set is empty", expected="at least one image")
    tensors = {
        name: counter.finished(means.get(name)) for name, counter in counters.items() if counter.any and counter.finite
    }
    _derive(tensors, exposure, means)
    tensors = {name: found for name, found in tensors.items() if name in required or _has_range(found)}
    every = {*counters, *(derived.tensor for derived in exposure.derivations)}
    return CalibrationStatistics(
        tensors=tensors,
        images=seen,
        fingerprints=dict(fingerprints or {}),
        unbounded=frozenset(every - {*tensors}),
    )


def _add_mean(means: dict[str, ChannelMeans], name: str, of_image: npt.NDArray[np.float32]) -> None:
    """Add an image's means by channel; those that are not finite are of a tensor that has no statistics."""
    if np.isfinite(of_image).all():
        added = ChannelMeans.of_image(of_image)
        means[name] = means[name].merged(added) if name in means else added


def _not_finite(name: str, *, is_input: bool) -> ModelError:
    return ModelError(
        "the model's input is not finite" if is_input else "the fp32 model gives values that are not finite",
        where=name,
        found="an infinity or NaN for a calibration image",
        expected="finite numbers",
        advice="check the preprocessing's scale, mean and std"
        if is_input
        else "look at what the model gives for the same images where it was exported",
    )


@dataclass
class _Counter:
    """Counts of one tensor's values while the pass runs.

    Attributes:
        counts: By code.
        minimum: The least value.
        maximum: The greatest.
        finite: All values were.
        any: There were values.
    """

    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(CODES, np.int64))
    minimum: float = float("inf")
    maximum: float = float("-inf")
    finite: bool = True
    any: bool = False
    _pending: list[npt.NDArray[np.uint16]] = field(default_factory=list)
    _pending_size: int = 0

    def add(self, values: npt.NDArray[np.float32]) -> None:
        if not self.finite or not values.size:
            return
        minimum, maximum = float(values.min()), float(values.max())
        if not (np.isfinite(minimum) and np.isfinite(maximum)):
            self.finite = False
            return
        self.any = True
        self.minimum, self.maximum = min(self.minimum, minimum), max(self.maximum, maximum)
        codes = codes_of(values)
        if codes.size >= _PENDING:
            self._count(codes)
            return
        self._pending.append(codes.copy())
        self._pending_size += codes.size
        if self._pending_size >= _PENDING:
            self._flush()

    def finished(self, means: ChannelMeans | None) -> TensorStatistics:
        self._flush()
        return TensorStatistics(Histogram.of_code_counts(self.counts), self.minimum, self.maximum, means)

    def _flush(self) -> None:
        if self._pending:
            self._count(np.concatenate(self._pending))
            self._pending, self._pending_size = [], 0

    def _count(self, codes: npt.NDArray[np.uint16]) -> None:
        counted = np.bincount(codes)
        self.counts[: counted.size] += counted


def _has_range(found: TensorStatistics) -> bool:
    """Return whether a range could cover the values: some are so small that no grid has steps for them."""
    return can_be_held(max(abs(found.minimum), abs(found.maximum)))


def _derive(tensors: dict[str, TensorStatistics], exposure: Exposure, means: Mapping[str, ChannelMeans]) -> None:
    """Add the tensors whose values follow from others to ``tensors``, where those are known."""
    for derived in exposure.derivations:
        if not all(name in tensors for name in derived.sources):
            continue
        sources = [tensors[name] for name in derived.sources]
        minimum = min(source.minimum for source in sources)
        maximum = max(source.maximum for source in sources)
        # Without a bound, none of the values is one: all of a dead Relu's input lie below what it gives.
        low = derived.lowest if derived.lowest is not None else -math.inf
        high = derived.highest if derived.highest is not None else math.inf
        histogram = Histogram.sum(*(source.histogram for source in sources))
        tensors[derived.tensor] = TensorStatistics(
            histogram=histogram.clipped(derived.lowest, derived.highest),
            minimum=min(max(minimum, low), high),
            maximum=min(max(maximum, low), high),
            means=means.get(derived.tensor),
        )
