"""How far scores move from the fp32 model's, on images held in memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx

from quantize.data.batch import Batch
from quantize.engines.native.search.runner import Runner
from quantize.evaluation.fidelity import Fidelity, fidelity_of
from quantize.evaluation.inference import scores_of
from quantize.formats.exact import with_unsigned_weights
from quantize.models.artifact import ModelArtifact
from quantize.models.scores import score_kind

_MICRO_BATCH = 8


class Scorer:
    """The fp32 model's scores on some images, and candidates' fidelity to them."""

    def __init__(self, model: ModelArtifact, batches: Iterable[Batch], *, most: int, threads: int) -> None:
        """Run the fp32 model.

        Args:
            model: The fp32 model, the reference side.
            batches: Images as the model takes them, of which the first ``most`` are kept.
            most: How many images to keep at most.
            threads: Micro-batches that run at a time.
        """
        self.images = first_images(batches, most)
        self.runner = Runner(threads)
        self._contract = model.contract
        fixed = model.contract.fixed_batch or 1
        self._micro_batch = -(-_MICRO_BATCH // fixed) * fixed
        proto = model.proto()
        self._kind = score_kind(proto)
        self.reference = self._scores(proto.SerializeToString())

    def fidelity(self, candidate: onnx.ModelProto) -> Fidelity:
        """Return the fidelity of a candidate with the fp32 model's contract, computed without saturation."""
        return self.fidelity_of(self._scores(with_unsigned_weights(candidate).SerializeToString()))

    def fidelity_of(self, scores: npt.NDArray[np.float32]) -> Fidelity:
        """Return the fidelity of scores, float32 (N, classes), of the images."""
        return fidelity_of(self.reference, scores, self._kind)

    def divergences(self, scores: npt.NDArray[np.float32], part: slice) -> list[float]:
        """Return KL(fp32 || changed) in nats of each image of a part, from scores (N, classes)."""
        found: list[float] = fidelity_of(self.reference[part], scores, self._kind).divergences.tolist()
        return found

    def _scores(self, content: bytes) -> npt.NDArray[np.float32]:
        session = self.runner.open(content)
        starts = range(0, len(self.images), self._micro_batch)
        parts = [self.images[start : start + self._micro_batch] for start in starts]
        return np.concatenate(self.runner.map(lambda images: scores_of(session, self._contract, images), parts))


def first_images(batches: Iterable[Batch], most: int) -> npt.NDArray[np.float32]:
    """Return at most ``most`` images, float32 (N, 3, H, W).

    Raises:
        ValueError: If there is none.
    """
    kept: list[npt.NDArray[np.float32]] = []
    count = 0
    for batch in batches:
        kept.append(batch.images[: most - count])
        count += len(kept[-1])
        if count >= most:
            break
    if not count:
        raise ValueError("no images to score on")
    return np.concatenate(kept)
