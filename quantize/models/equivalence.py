"""Proof that two models give the same scores, by running both on the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.errors import ModelError
from quantize.models.contract import ModelContract, model_contract
from quantize.models.input_form import in_form
from quantize.models.session import RUNTIME_ERRORS, open_session
from quantize.processes.memory import give_back_unused

RUN_ERRORS: tuple[type[Exception], ...] = (*RUNTIME_ERRORS, ValueError)
"""What ``Scorer.scores`` raises where a model does not take the images."""

_ANY_SIZE = 224
_SPREADS = (1.0, 50.0)


@dataclass(frozen=True)
class Scorer:
    """A model ready to score images in batches of the size it insists on, or of the requested size."""

    session: onnxruntime.InferenceSession
    contract: ModelContract

    @classmethod
    def of(cls, content: bytes, contract: ModelContract, where: str | None = None) -> Scorer:
        """Return the scorer of a serialized model; ``where`` is its name in errors.

        It is for a few images: its weights are not kept a second time as the kernels read them.

        Args:
            content: The model. It is not parsed here: a large one's weights would lie in memory once more.
            contract: The model's.
            where: Its name in errors.

        Raises:
            ModelError: onnxruntime cannot load the model.
        """
        return cls(open_session(content, prepacking=False, where=where), contract)

    def scores(self, images: NDArray[np.float32], batch_size: int) -> NDArray[np.float32]:
        """Return the scores, float32 (N, columns), of images, float32 (N, C, H, W).

        The last batch is filled up with its last image where the model insists on a size.

        Raises:
            ValueError: The model gives another number of rows than it got images.
        """
        size = self.contract.fixed_batch or batch_size
        rows = []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            missing = size - len(part) if self.contract.fixed_batch else 0
            fed = in_form(self.contract, np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]))
            (scores,) = self.session.run([self.contract.output.name], {self.contract.input.name: fed})
            if len(scores) != len(fed) or scores.size != len(fed) * self.contract.columns:
                raise ValueError(f"scores of shape {scores.shape} for {len(fed)} images")
            rows.append(scores.reshape(len(fed), self.contract.columns)[: len(part)])
        every: NDArray[np.float32] = np.concatenate(rows)
        return every


@dataclass(frozen=True)
class Reference:
    """What a model scores on images that are always the same: what it has to score after any rewriting.

    Attributes:
        contract: The model's.
        images: float32 (2, C, H, W).
        scores: float32 (2, columns).
    """

    contract: ModelContract
    images: NDArray[np.float32]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, model: ModelProto, where: str) -> Reference:
        """Run a model; ``where`` is its name in errors.

        Raises:
            ModelError: It is no classifier, or cannot be run.
        """
        scorer = Scorer.of(model.SerializeToString(), model_contract(model, where=where), where)
        images = check_images(scorer.contract)
        try:
            scores = scorer.scores(images, 1)
        except RUN_ERRORS as error:
            raise ModelError(
                f"the model cannot be run on an image of {images.shape[2]}x{images.shape[3]} pixels",
                where=where,
                found=str(error).strip(),
                expected="class scores for one image",
            ) from error
        contract = scorer.contract
        del scorer
        give_back_unused()  # what opening it took, before the model is copied
        return cls(contract, images, scores)

    def largest_difference(self, content: bytes, contract: ModelContract, *batch_sizes: int) -> float:
        """Return the largest difference of another serialized model's scores, in batches of each of some sizes.

        Raises:
            ModelError: onnxruntime cannot load the model.
            Exception: One of ``RUN_ERRORS``: the model does not take a batch.
        """
        scorer = Scorer.of(content, contract)
        return max(largest_difference(self.scores, scorer.scores(self.images, size)) for size in batch_sizes)


def check_images(contract: ModelContract) -> NDArray[np.float32]:
    """Return two images, always the same, that a model takes (``in_form``): float32 (2, C, H, W).

    One has values as after a division by the standard deviation, one as after subtracting means from 0-255.
    """
    height, width = contract.image_size or (_ANY_SIZE, _ANY_SIZE)
    noise = np.random.default_rng(0).standard_normal((len(_SPREADS), contract.channels, height, width))
    images: NDArray[np.float32] = (noise * np.reshape(_SPREADS, (-1, 1, 1, 1))).astype(np.float32)
    return images


def largest_difference(expected: NDArray[np.float32], actual: NDArray[np.float32]) -> float:
    """Return the largest difference between two arrays of scores, relative to the expected ones where those exceed 1.

    Equal infinities and NaN in both at the same place count as equal, NaN in one of them as infinitely different.
    """
    same = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    with np.errstate(invalid="ignore"):
        scale = np.maximum(1.0, np.max(np.abs(expected), axis=1, keepdims=True))
        difference = np.where(same, 0.0, np.abs(expected.astype(np.float64) - actual) / scale)
    return float(np.max(np.where(np.isnan(difference), np.inf, difference)))
