"""How close a candidate's scores are to the fp32 model's, which are always the reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quantize.evaluation.inference import label_logits, log_probabilities
from quantize.evaluation.label_outcomes import threshold
from quantize.evaluation.outcomes import Floats, Scores, concatenate, freeze
from quantize.models.contract import ScoreKind, Task

_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Fidelity:
    """A candidate against the fp32 reference on N > 0 images; every mean is derived from per-image values.

    Attributes:
        kind: Whether the scores are probabilities or logits.
        agreements: float64 (N,), the chance that both name the same top class if ties fall at random; of labels the
            share that both decide the same way.
        certain_agreements: float64 (N,), 1 where both have one top class, the same; of labels the share that both
            decide the same way, without ties.
        divergences: float64 (N,), KL(fp32 || candidate) of the class probabilities, in nats; of labels the sum over
            them, as if they were independent.
        signal: float64 (N,), sum of the squared fp32 scores.
        noise: float64 (N,), sum of the squared differences of the scores.
    """

    kind: ScoreKind
    agreements: Floats
    certain_agreements: Floats
    divergences: Floats
    signal: Floats
    noise: Floats

    def __post_init__(self) -> None:
        n = len(self.agreements)
        if n == 0:
            raise ValueError("fidelity on no image")
        for array in (self.agreements, self.certain_agreements, self.divergences, self.signal, self.noise):
            freeze(array, n)

    def __len__(self) -> int:
        """Return N."""
        return len(self.agreements)

    @property
    def agreement_count(self) -> float:
        """Return the number of images with fp32's top-1 answer, in expectation if ties fall at random."""
        return math.fsum(self.agreements)

    @property
    def agreement(self) -> float:
        """Return the share of images with fp32's top-1 answer, in expectation if ties fall at random."""
        return self.agreement_count / len(self)

    @property
    def pessimistic_agreement(self) -> float:
        """Return the share of images with fp32's top-1 answer, a tie in either model counting as disagreement."""
        return math.fsum(self.certain_agreements) / len(self)

    @property
    def mean_kl(self) -> float:
        """Return the mean KL(fp32 || candidate) in nats."""
        return math.fsum(self.divergences) / len(self)

    @property
    def sqnr(self) -> float | None:
        """Return signal energy / noise energy of the scores, a ratio; None without noise."""
        noise = math.fsum(self.noise)
        return math.fsum(self.signal) / noise if noise > 0 else None

    @property
    def sqnr_decibel(self) -> float | None:
        """Return 10 log10 of ``sqnr``; None without noise or signal."""
        ratio = self.sqnr
        return 10 * math.log10(ratio) if ratio else None


def fidelity_of(reference: Scores, candidate: Scores, kind: ScoreKind, task: Task = "one class") -> Fidelity:
    """Return the fidelity of ``candidate`` scores (N, classes) to the fp32 ``reference`` scores (N, classes).

    KL(p || q) = sum over classes of p (ln p - ln q), p from the reference (Kullback and Leibler 1951).

    Raises:
        ValueError: The shapes differ.
    """
    if reference.shape != candidate.shape:
        raise ValueError(f"scores of shape {candidate.shape} against a reference of shape {reference.shape}")
    part = _of_labels if task == "labels" else _of_classes
    starts = range(0, max(len(reference), 1), _CHUNK)
    return concatenate(part(reference[s : s + _CHUNK], candidate[s : s + _CHUNK], kind) for s in starts)


def _of_classes(reference: Scores, candidate: Scores, kind: ScoreKind) -> Fidelity:
    reference_top = reference == reference.max(axis=1, keepdims=True)
    candidate_top = candidate == candidate.max(axis=1, keepdims=True)
    choices = reference_top.sum(axis=1) * candidate_top.sum(axis=1)
    agreements: Floats = (reference_top & candidate_top).sum(axis=1) / choices
    log_p, log_q = log_probabilities(reference, kind), log_probabilities(candidate, kind)
    return Fidelity(
        kind=kind,
        agreements=agreements,
        certain_agreements=((choices == 1) & (agreements == 1)).astype(np.float64),
        # rounding alone can leave -1e-17 where both are the same
        divergences=np.maximum((np.exp(log_p) * (log_p - log_q)).sum(axis=1), 0.0),
        signal=np.square(reference, dtype=np.float64).sum(axis=1),
        noise=np.square(reference.astype(np.float64) - candidate).sum(axis=1),
    )


def _of_labels(reference: Scores, candidate: Scores, kind: ScoreKind) -> Fidelity:
    middle = threshold(kind)
    undecided = (reference == middle) | (candidate == middle)
    same = (reference > middle) == (candidate > middle)
    own, other = label_logits(reference, kind), label_logits(candidate, kind)
    # KL of two Bernoulli distributions with the logits a and b: p (a - b) + ln(1 + e^b) - ln(1 + e^a), p = sigmoid(a)
    chance = 1 / (1 + np.exp(-own))
    divergences = chance * (own - other) + np.logaddexp(0, other) - np.logaddexp(0, own)
    return Fidelity(
        kind=kind,
        agreements=np.where(undecided, 0.5, same).mean(axis=1),
        certain_agreements=(same & ~undecided).mean(axis=1),
        divergences=np.maximum(divergences, 0.0).sum(axis=1),
        signal=np.square(reference, dtype=np.float64).sum(axis=1),
        noise=np.square(reference.astype(np.float64) - candidate).sum(axis=1),
    )
