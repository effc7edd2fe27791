"""The calibration pass that collects the second moments of each layer's inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from numpy.lib.stride_tricks import sliding_window_view

from quantize.calibration.exposure import OneImage, single_images, with_outputs
from quantize.calibration.one_ahead import one_ahead
from quantize.calibration.second_moments import SecondMoments
from quantize.data.batches import Batch
from quantize.models.session import open_session
from quantize.progress import Progress, silent

POSITIONS = 64
"""Positions of a Conv's output sampled in one image, evenly spaced."""

LARGEST = 2304
"""Inputs of one output channel above which a layer's moments are not collected: the matrix has their square."""

_TOGETHER = 1024


@dataclass(frozen=True)
class Window:
    """How a layer's inputs are cut out of its input tensor.

    Attributes:
        node: The layer's name.
        input: The input tensor.
        group: Groups of a Conv, else 1.
        kernel: Height and width of the kernel; None for layers applied to the last axis.
        strides: Of the Conv.
        pads: top, left, bottom, right.
        dilations: Of the Conv.
    """

    node: str
    input: str
    group: int
    kernel: tuple[int, int] | None
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)


def collect_second_moments(
    model: onnx.ModelProto,
    windows: Sequence[Window],
    batches: Iterable[Batch],
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> Mapping[str, SecondMoments]:
    """Run ``model`` over the images and return the moments of the layers' inputs, by node.

    Args:
        model: The fp32 model.
        windows: The layers to look at.
        batches: Images as the model takes them, float32 (N, ...); 32 to 64 of them are enough.
        threads: Intra-op threads of the session.
        progress: Called after each image.
    """
    exposed = sorted({window.input for window in windows} - {value.name for value in model.graph.input})
    outputs = dict.fromkeys([*(value.name for value in model.graph.output), *exposed])
    runner = OneImage(open_session(with_outputs(model, outputs).SerializeToString(), threads=threads))
    sums: dict[str, _Sums] = {}

    def infer(image: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        return {runner.input: image, **dict(zip(exposed, runner.run(exposed, image), strict=True))}

    for seen, values in enumerate(one_ahead(infer, single_images(batches)), start=1):
        for window in windows:
            sums.setdefault(window.node, _Sums()).add(sampled(values[window.input], window))
        progress("second moments", seen, None)
    return {node: added.moments() for node, added in sums.items()}


@dataclass
class _Sums:
    """Sums over the samples of one layer while the pass runs."""

    products: npt.NDArray[np.float64] | None = None
    sums: npt.NDArray[np.float64] | None = None
    count: int = 0
    pending: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def add(self, sample: npt.NDArray[np.float32]) -> None:
        self.pending.append(sample)
        # Adding a large matrix takes longer than multiplying few samples, so some images are multiplied at once.
        if sum(part.shape[1] for part in self.pending) >= _TOGETHER:
            self._flush()

    def _flush(self) -> None:
        if not self.pending:
            return
        sample = np.concatenate(self.pending, axis=1)
        self.pending = []
        products = np.matmul(sample.swapaxes(1, 2), sample)
        if self.products is None or self.sums is None:
            self.products = np.zeros(products.shape)
            self.sums = np.zeros(products.shape[:2])
        self.products += products
        self.sums += sample.sum(axis=1, dtype=np.float64)
        self.count += sample.shape[1]

    def moments(self) -> SecondMoments:
        self._flush()
        assert self.products is not None
        assert self.sums is not None
        return SecondMoments(
            products=(self.products / self.count).astype(np.float32),
            means=(self.sums / self.count).astype(np.float32),
            samples=self.count,
        )


def sampled(values: npt.NDArray[np.float32], window: Window) -> npt.NDArray[np.float32]:
    """Return float32 (groups, samples, inputs): what the layer's weights are applied to."""
    if window.kernel is None:
        rows = values.reshape(-1, values.shape[-1])
        return rows[_spread(len(rows))][None]
    top, left, bottom, right = window.pads
    # Most Convs are pointwise and pad nothing: copying their input would take longer than the sampling.
    padded = np.pad(values[0], ((0, 0), (top, bottom), (left, right))) if any(window.pads) else values[0]
    extent = [(size - 1) * step + 1 for size, step in zip(window.kernel, window.dilations, strict=True)]
    views = sliding_window_view(padded, (padded.shape[0], *extent))[0][
        :: window.strides[0], :: window.strides[1], :, :: window.dilations[0], :: window.dilations[1]
    ]
    width = views.shape[1]
    rows, columns = np.divmod(_spread(views.shape[0] * width), width)
    patches = views[rows, columns]
    samples, channels = patches.shape[:2]
    grouped = patches.reshape(samples, window.group, channels // window.group, -1)
    return np.ascontiguousarray(grouped.swapaxes(0, 1)).reshape(window.group, samples, -1)


def _spread(size: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, size - 1, min(size, POSITIONS)).round().astype(np.int64))
