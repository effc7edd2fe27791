"""Weight rounding better than nearest: weights not yet rounded compensate every rounding error.

E. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023,
which solves the local least squares problem ``min || (W - Wq) X ||`` input by input, followed by coordinate descent
on the same objective over the whole levels. It is done in the form of J. Chee et al., "QuIP: 2-Bit Quantization of
Large Language Models With Guarantees", NeurIPS 2023, theorem 6, which gives the same without an inverse: an input's
target takes up the errors of the inputs before it.

Both go through the inputs in halves of halves: what one half changes for the other is one matrix product, and only
within the last few inputs is it added input by input. Arrays are (groups, inputs, outputs), so that what belongs to an
input lies side by side.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantize.engines.native.builder.rounding_problem import RoundingProblem

_FEW = 8
"""Inputs that are gone through one by one."""
_SWEEPS = 2

Array = npt.NDArray[np.float32]


def least_squares_levels(rows: Array, scales: Array, problem: RoundingProblem, level: int) -> Array:
    """Return the weights in whole levels such that the layer's outputs change least.

    Args:
        rows: float32 (output channels, inputs of one).
        scales: float32 (output channels,).
        problem: Of the layer's inputs; the output channels are split evenly among the groups.
        level: The greatest level; the least is its negative.
    """
    groups, size = problem.damped.shape[:2]
    targets = (rows / scales[:, None]).reshape(groups, -1, size).swapaxes(1, 2).take(problem.order, axis=1)
    compensation = _Compensation(targets, problem.feedback, level)
    compensation.run(0, size)
    descent = _Descent(targets, compensation.rounded, problem.damped, level)
    del compensation
    for _ in range(_SWEEPS):
        if not descent.moves(0, size):
            break
    descended = descent.rounded
    change = _change(descended - targets, descent.gradient, problem.damping)
    del descent
    nearest = _to_levels(targets.copy(), level)
    error = nearest - targets
    is_better = change <= _change(error, problem.damped @ error, problem.damping)
    levels = np.empty((groups, targets.shape[2], size), np.float32)
    levels[:, :, problem.order] = np.where(is_better[:, None], descended, nearest).swapaxes(1, 2)
    return levels.reshape(rows.shape)


def _to_levels(values: Array, level: int) -> Array:
    """Return the values rounded to whole levels, in their place."""
    np.rint(values, out=values)
    np.minimum(values, level, out=values)
    return np.maximum(values, -level, out=values)


def _middle(start: int, stop: int) -> int:
    """Return where to halve a range, a whole multiple of the few from its start."""
    return start + -(-(stop - start) // (2 * _FEW)) * _FEW


def _change(error: Array, gradient: Array, damping: Array) -> Array:
    """Return (groups, outputs), the mean squared change of every output, of errors and their products with ``damped``.

    The damping made good errors small; it says nothing of the outputs.
    """
    squared: Array = np.einsum("gio,gio->go", error, gradient)
    squared -= damping[:, None] * np.einsum("gio,gio->go", error, error)
    return squared


class _Compensation:
    """Rounds input by input, each making good what the errors of those before it changed."""

    def __init__(self, targets: Array, feedback: Array, level: int) -> None:
        """Set up.

        Args:
            targets: (groups, inputs, outputs) in units of the scale.
            feedback: See ``RoundingProblem``.
            level: The greatest level.
        """
        self.rounded = targets.copy()  # of inputs that are not rounded yet: what is to be rounded
        self._errors = np.empty_like(targets)
        self._targets, self._feedback, self._level = targets, feedback, level

    def run(self, start: int, stop: int) -> None:
        """Round the inputs of a range."""
        rounded, errors, feedback = self.rounded, self._errors, self._feedback
        if stop - start > _FEW:
            middle = _middle(start, stop)
            self.run(start, middle)
            rounded[:, middle:stop] += feedback[:, start:middle, middle:stop].swapaxes(1, 2) @ errors[:, start:middle]
            self.run(middle, stop)
            return
        for at in range(start, stop):
            of_input = _to_levels(rounded[:, at], self._level)
            np.subtract(self._targets[:, at], of_input, out=errors[:, at])
            rounded[:, at + 1 : stop] += errors[:, at, None] * feedback[:, at, at + 1 : stop, None]


class _Descent:
    """Moves single levels where that lowers the squared change of the outputs."""

    def __init__(self, targets: Array, rounded: Array, damped: Array, level: int) -> None:
        """Set up.

        Args:
            targets: (groups, inputs, outputs) in units of the scale.
            rounded: The levels to begin with, which are changed.
            damped: See ``RoundingProblem``.
            level: The greatest level.
        """
        self.rounded = rounded
        self.gradient = damped @ (rounded - targets)
        self._damped, self._level = damped, level

    def moves(self, start: int, stop: int) -> bool:
        """Go through the inputs of a range; return whether a level moved.

        The gradient of the range is right at the end where it was at the start, that of other inputs is not changed.
        """
        if stop - start > _FEW:
            middle = _middle(start, stop)
            first = self._moves_half(start, middle, slice(middle, stop))
            return self._moves_half(middle, stop, slice(start, middle)) or first
        moved = False
        for at in range(start, stop):
            of_input = self.rounded[:, at]
            step = self.gradient[:, at] / self._damped[:, at, at, None]
            np.subtract(of_input, step, out=step)
            _to_levels(step, self._level)
            step -= of_input
            if step.any():
                moved = True
                of_input += step
                self.gradient[:, start:stop] += step[:, None] * self._damped[:, at, start:stop, None]
        return moved

    def _moves_half(self, start: int, stop: int, other: slice) -> bool:
        before = self.rounded[:, start:stop].copy()
        if not self.moves(start, stop):
            return False
        self.gradient[:, other] += self._damped[:, other, start:stop] @ (self.rounded[:, start:stop] - before)
        return True
