"""The pass over calibration images that collects the second moments of layers' inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from quantize.calibration.one_image import OneImage
from quantize.calibration.second_moments import SecondMoments
from quantize.calibration.window import Window, sampled
from quantize.data.batch import Batch
from quantize.models.session import open_session
from quantize.progress import Progress, silent

_TOGETHER = 1024


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
        progress: Told after every image.
    """
    inputs = {value.name for value in model.graph.input}
    exposed = sorted({window.input for window in windows} - inputs)
    runner = OneImage(open_session(_with_outputs(model, exposed).SerializeToString(), threads=threads))
    sums: dict[str, _Sums] = {}
    seen = 0
    for batch in batches:
        for position in range(len(batch.images)):
            image = batch.images[position : position + 1]
            values = dict(zip(exposed, runner.run(exposed, image), strict=True))
            values[runner.input] = image
            for window in windows:
                sums.setdefault(window.node, _Sums()).add(sampled(values[window.input], window))
            seen += 1
            progress("second moments", seen, None)
    return {node: added.moments() for node, added in sums.items()}


def _with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    present = {value.name for value in exposed.graph.output}
    exposed.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names if name not in present
    )
    return exposed


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
