"""The ranges of a tensor's channels over calibration images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from quantize.calibration.exposure import OneImage, with_outputs
from quantize.data.batches import Batch
from quantize.models.weights_apart import weights_apart


@dataclass(frozen=True, eq=False)
class ChannelRanges:
    """What each channel of a tensor takes on.

    Attributes:
        lowest: float64 (C,), the least value.
        highest: float64 (C,), the greatest value.
        squares: float64 (C,), the mean of the squared values.
    """

    lowest: npt.NDArray[np.float64]
    highest: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]


def collect_channel_ranges(
    model: onnx.ModelProto, axes: Mapping[str, int], batches: Iterable[Batch], *, threads: int = 1
) -> dict[str, ChannelRanges]:
    """Run a model over images and return the ranges of its tensors' channels, by tensor.

    Args:
        model: The fp32 model.
        axes: Float tensors between its nodes, and the axis of their channels.
        batches: Images as the model takes them, float32 (N, ...); some ten are enough.
        threads: Intra-op threads of the session.
    """
    names = sorted(axes)
    with weights_apart(model) as apart:
        runner = OneImage(apart.open(with_outputs(apart.model, names), threads=threads))
    seen: dict[str, list[tuple[npt.NDArray[np.float64], ...]]] = {name: [] for name in names}
    for batch in batches:
        for position in range(len(batch.images)):
            image = batch.images[position : position + 1]
            for name, values in zip(names, runner.run(names, image), strict=True):
                rows = np.moveaxis(values, axes[name], 0).reshape(values.shape[axes[name]], -1)
                squares = np.einsum("cv,cv->c", rows, rows) / max(rows.shape[1], 1)
                seen[name].append(tuple(each.astype(np.float64) for each in (rows.min(1), rows.max(1), squares)))
    ranges = {}
    for name, of_images in seen.items():
        lowest, highest, squares = (np.stack(values) for values in zip(*of_images, strict=True))
        ranges[name] = ChannelRanges(lowest.min(axis=0), highest.max(axis=0), squares.mean(axis=0))
    return ranges
