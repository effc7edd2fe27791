"""Run a batch of images to scores (N, classes), and convert scores to log probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.errors import ModelError
from quantize.evaluation.outcomes import Floats, Scores
from quantize.formats.exact import open_exact_session
from quantize.models.artifact import ModelArtifact, ModelContract
from quantize.models.contract import ScoreKind
from quantize.models.ending import exposed
from quantize.models.input_form import filled, in_form
from quantize.models.session import open_session


def open_scores(model: ModelArtifact, *, threads: int = 1, exact: bool = False) -> Any:
    """Return a session that gives a model's scores, also where its file gives only what an ArgMax chooses from them.

    Args:
        model: The saved model; its file is loaded anew.
        threads: Intra-op threads.
        exact: Whether sums of integer products are computed without saturation, or as this CPU does.

    Raises:
        ModelError: onnxruntime cannot load the model.
    """
    if model.contract.gives_scores:
        return (open_exact_session if exact else open_session)(model.path, threads=threads)
    whole, where = exposed(model.proto(), model.contract), str(model.path)
    if exact:
        return open_exact_session(whole, threads=threads, where=where)
    return open_session(whole.SerializeToString(), threads=threads, where=where)


def scores_of(session: Any, contract: ModelContract, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 (N, classes), the model's scores of ``images`` (N, C, H, W) float32.

    A model of a fixed batch size gets its batches, the last one filled up with copies that are thrown away.

    Raises:
        ModelError: The output does not squeeze to (N, classes).
    """
    given = in_form(contract, images)
    fixed = contract.input.shape[0]
    size = fixed if isinstance(fixed, int) and fixed > 0 else len(given)
    parts = [_run(session, contract, given[start : start + size], size) for start in range(0, len(given), size)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _run(session: Any, contract: ModelContract, given: NDArray[Any], size: int) -> NDArray[np.float32]:
    (output,) = session.run([contract.output.name], {contract.input.name: filled(given, size)})
    scores = np.asarray(output, dtype=np.float32)
    if _without_ones(scores.shape) != _without_ones((size, contract.columns)):
        raise ModelError(
            "the output is not one score a class",
            where=contract.output.name,
            found=f"shape {scores.shape}",
            expected=f"a shape that squeezes to ({size}, {contract.columns})",
        )
    return by_class(scores.reshape(size, contract.columns)[: len(given)], contract)


def by_class(scores: NDArray[np.float32], contract: ModelContract) -> NDArray[np.float32]:
    """Return scores (N, classes) from a model's own (N, columns).

    One score alone becomes two, no and yes: behind a Sigmoid 1 - p and p, else 0 and the logit. Then yes wins above
    0.5 (a logit above 0), exactly there is a tie, and the softmax of the two logits is the sigmoid of the one.
    """
    if contract.task != "yes or no":
        return scores
    no = 1 - scores if contract.scores == "softmax" else np.zeros_like(scores)
    return np.concatenate([no, scores], axis=1)


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    return [dimension for dimension in shape if dimension != 1]


_SUM_TOLERANCE = 1e-3  # float32 Softmax over 1,000 classes is within 1e-5; logits are nowhere near
_LOWEST_PROBABILITY = 1e-12  # below what a float32 Softmax resolves next to 1; bounds KL at 27.6 nats


def are_probabilities(scores: Scores) -> bool:
    """Return whether every row of ``scores`` (N, classes) is non-negative and sums to 1 within 1e-3."""
    return bool((scores >= 0).all() and (np.abs(scores.sum(axis=1, dtype=np.float64) - 1) <= _SUM_TOLERANCE).all())


def log_probabilities(scores: Scores, kind: ScoreKind) -> Floats:
    """Return float64 (N, classes): natural logarithms of probabilities, each row's exponentials summing to 1.

    Logits go through log-softmax. Probabilities are floored at 1e-12, so that a class that a quantized Softmax
    rounds to zero costs much but not everything, and scaled to sum to 1, which a quantized Softmax does not.
    """
    if kind == "logits":
        logs = scores.astype(np.float64)
    else:
        logs = np.log(np.maximum(scores.astype(np.float64), _LOWEST_PROBABILITY))
    logs -= logs.max(axis=1, keepdims=True)
    normalized: Floats = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return normalized


def label_logits(scores: Scores, kind: ScoreKind) -> Floats:
    """Return float64 (N, labels), the logits of scores of which each is by itself.

    A probability is kept at least 1e-12 from 0 and from 1: what a Sigmoid in float32 rounds to 1 is no certainty.
    """
    values = scores.astype(np.float64)
    if kind == "logits":
        return values
    chances = np.clip(values, _LOWEST_PROBABILITY, 1 - _LOWEST_PROBABILITY)
    logits: Floats = np.log(chances) - np.log1p(-chances)
    return logits
