"""Scores as logarithms of probabilities, whichever of the two a model gives."""

from __future__ import annotations

import numpy as np

from quantize.evaluation.outcomes import Floats, Scores
from quantize.models.scores import ScoreKind

_SUM_TOLERANCE = 1e-3  # float32 Softmax over 1,000 classes is within 1e-5; logits are nowhere near
_LOWEST_PROBABILITY = 1e-12  # below what float32 Softmax resolves beside 1; bounds KL at 27.6 nats


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
