"""Weight rounding better than nearest: weights not yet rounded compensate every rounding error.

E. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023,
which solves the local least squares problem ``min || (W - Wq) X ||`` input by input, followed by coordinate descent
on the same objective over the whole levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

_DAMPING = 0.01
_BLOCK = 64
_SWEEPS = 2

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RoundingProblem:
    """What the rounding of a layer's weights needs of the moments of its inputs, whatever the weights' scales.

    Attributes:
        order: (inputs,), the order in which inputs are rounded: those with the most weight on the output first, while
            there are many left to make good their errors.
        moments: float32 (groups, inputs, inputs), in that order.
        damped: float32, the same with a small multiple of the unit matrix added.
        feedback: float32 (groups, inputs, inputs): the upper Cholesky factor of the inverse of ``damped``, which
            holds, row by row, how an input's error is best made good by those after it.
    """

    order: npt.NDArray[np.int64]
    moments: Array
    damped: Array
    feedback: Array

    @property
    def bytes(self) -> int:
        """Return the memory that it takes."""
        return self.order.nbytes + self.moments.nbytes + self.damped.nbytes + self.feedback.nbytes

    @staticmethod
    def of(moments: npt.NDArray[np.float64]) -> RoundingProblem:
        """Return the problem of second moments, float64 (groups, inputs, inputs)."""
        size = moments.shape[1]
        damping = np.maximum(_DAMPING * np.trace(moments, axis1=1, axis2=2) / size, 1e-12)
        diagonal = np.diagonal(moments, axis1=1, axis2=2) + damping[:, None]
        order = np.argsort(-diagonal.sum(axis=0), kind="stable")
        # Of thousands of inputs, each such matrix takes tens of megabytes in double precision.
        damped = moments[:, order[:, None], order]
        del moments
        plain = damped.astype(np.float32)
        np.einsum("gii->gi", damped)[:] = diagonal[:, order]
        try:
            feedback = _feedback(damped)
        except np.linalg.LinAlgError:  # of inputs that hardly deviate from a large mean, rounding left nothing positive
            damped = _lifted(damped, damping)
            feedback = _feedback(damped)
        return RoundingProblem(order=order, moments=plain, damped=damped.astype(np.float32), feedback=feedback)


def _feedback(matrices: npt.NDArray[np.float64]) -> Array:
    """Return the upper Cholesky factors of the inverses of symmetric matrices (groups, inputs, inputs).

    That of an inverse is the inverse of a factor: with the rows and columns of ``H`` in reverse order, of the lower
    triangle ``C`` for which ``H = C CT``. It takes a sixth of the time of inverting ``H`` first, and no more memory
    than ``H``.

    Raises:
        numpy.linalg.LinAlgError: A matrix is not positive definite.
    """
    factors = np.empty(matrices.shape, np.float32)
    for matrix, factor in zip(matrices, factors, strict=True):
        lower, refused = lapack.dpotrf(np.array(matrix[::-1, ::-1], order="F"), lower=1, clean=1, overwrite_a=1)
        if not refused:
            lower, refused = lapack.dtrtri(lower, lower=1, overwrite_c=1)
        if refused:
            raise np.linalg.LinAlgError("not positive definite")
        factor[:] = lower[::-1, ::-1]
    return factors


def _lifted(matrices: npt.NDArray[np.float64], least: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return symmetric matrices (groups, inputs, inputs) without eigenvalues below ``least`` (groups,).

    Nor below what double precision can tell from 0 next to the largest.
    """
    values, vectors = np.linalg.eigh((matrices + matrices.swapaxes(1, 2)) / 2)
    floor = np.maximum(least, 1e-9 * np.abs(values).max(axis=1))
    lifted: npt.NDArray[np.float64] = (vectors * np.maximum(values, floor[:, None])[:, None, :]) @ vectors.swapaxes(
        1, 2
    )
    return lifted


def least_squares_levels(rows: Array, scales: Array, problem: RoundingProblem, level: int) -> Array:
    """Return the weights in whole levels such that the layer's outputs change least.

    Args:
        rows: float32 (output channels, inputs of one).
        scales: float32 (output channels,).
        problem: Of the layer's inputs; the output channels are split evenly among the groups.
        level: The greatest level; the least is its negative.
    """
    groups, size = problem.moments.shape[:2]
    targets = (rows / scales[:, None]).reshape(groups, -1, size)[:, :, problem.order]
    descended = _descended(targets, _compensated(targets, problem.feedback, level), problem.damped, level)
    nearest = np.clip(np.rint(targets), -level, level)
    better = _change(targets - descended, problem.moments) <= _change(targets - nearest, problem.moments)
    levels = np.empty_like(targets)
    levels[:, :, problem.order] = np.where(better[:, :, None], descended, nearest)
    return levels.reshape(rows.shape)


def _change(error: Array, moments: Array) -> Array:
    """Return (groups, outputs), the mean squared change of every output."""
    squared: Array = ((error @ moments) * error).sum(axis=2)
    return squared


def _compensated(targets: Array, feedback: Array, level: int) -> Array:
    """Round input by input, each error spread over the inputs that follow.

    Args:
        targets: (groups, outputs, inputs) in units of the scale.
        feedback: See ``RoundingProblem``.
        level: The greatest level.
    """
    left = targets.copy()
    rounded = np.empty_like(left)
    size = targets.shape[2]
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        errors = np.empty((*left.shape[:2], stop - start), np.float32)
        for column in range(start, stop):
            rounded[:, :, column] = np.clip(np.rint(left[:, :, column]), -level, level)
            error = (left[:, :, column] - rounded[:, :, column]) / feedback[:, column, column, None]
            left[:, :, column:stop] -= error[:, :, None] * feedback[:, None, column, column:stop]
            errors[:, :, column - start] = error
        left[:, :, stop:] -= errors @ feedback[:, start:stop, stop:]
    return rounded


def _descended(targets: Array, rounded: Array, moments: Array, level: int) -> Array:
    """Move single levels as long as that lowers the squared change of the outputs; shapes as above."""
    gradient = (rounded - targets) @ moments
    size = targets.shape[2]
    for _ in range(_SWEEPS):
        moved = False
        for start in range(0, size, _BLOCK):
            stop = min(start + _BLOCK, size)
            before = rounded[:, :, start:stop].copy()
            inside = gradient[:, :, start:stop].copy()
            for column in range(start, stop):
                wanted = rounded[:, :, column] - inside[:, :, column - start] / moments[:, column, column, None]
                step = np.clip(np.rint(wanted), -level, level) - rounded[:, :, column]
                if step.any():
                    rounded[:, :, column] += step
                    inside += step[:, :, None] * moments[:, None, column, start:stop]
            steps = rounded[:, :, start:stop] - before
            if steps.any():
                moved = True
                gradient += steps @ moments[:, start:stop]
        if not moved:
            break
    return rounded
