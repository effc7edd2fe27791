"""What the least squares problem of rounding a layer's weights takes of the second moments of its inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_DAMPING = 0.01

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RoundingProblem:
    """What the rounding of a layer's weights needs of the moments of its inputs, whatever the weights' scales.

    Attributes:
        order: (inputs,), the order in which inputs are rounded: those with the most weight on the output first, while
            there are many left to make good their errors.
        damping: float32 (groups,), the multiple of the unit matrix that was added to the moments.
        damped: float32 (groups, inputs, inputs), the moments in that order with it; without eigenvalues that rounding
            left below it.
        feedback: float32 (groups, inputs, inputs), zero but above the diagonal: how much of the errors of the inputs
            before it, by row, an input makes good, by column.
    """

    order: npt.NDArray[np.int64]
    damping: Array
    damped: Array
    feedback: Array

    @property
    def bytes(self) -> int:
        """Return the memory that it takes."""
        return self.order.nbytes + self.damping.nbytes + self.damped.nbytes + self.feedback.nbytes

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
        np.einsum("gii->gi", damped)[:] = diagonal[:, order]
        try:
            feedback = _feedback(damped)
        except np.linalg.LinAlgError:  # of inputs that hardly deviate from a large mean, rounding left nothing positive
            damped = _lifted(damped, damping)
            feedback = _feedback(damped)
        return RoundingProblem(order, damping.astype(np.float32), damped.astype(np.float32), feedback)


def _feedback(matrices: npt.NDArray[np.float64]) -> Array:
    """Return the unit upper factors ``U`` of ``H = U D UT``, without their diagonal, of symmetric matrices ``H``.

    With rows and columns in reverse order, they are the columns of the Cholesky factor over its diagonal.

    Args:
        matrices: (groups, inputs, inputs).

    Raises:
        numpy.linalg.LinAlgError: A matrix is not positive definite.
    """
    lower = np.linalg.cholesky(matrices[:, ::-1, ::-1])
    lower /= np.einsum("gii->gi", lower)[:, None]
    factors = np.array(lower[:, ::-1, ::-1], np.float32, order="C")
    np.einsum("gii->gi", factors)[:] = 0
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
