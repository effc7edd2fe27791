"""Running a model on one image, whatever batch size it insists on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime


class OneImage:
    """Runs a session on single images; a fixed batch is filled with copies, of which the first counts."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """Set up for a session with one input."""
        self._session = session
        given = session.get_inputs()[0]
        self.input: str = given.name
        size = given.shape[0]
        self._batch = size if isinstance(size, int) and size > 0 else 1

    def run(self, names: Sequence[str], image: npt.NDArray[np.float32]) -> list[npt.NDArray[Any]]:
        """Return outputs for an image, float32 (1, ...) as the model takes it."""
        if self._batch == 1:
            found: list[npt.NDArray[Any]] = self._session.run(list(names), {self.input: image})
            return found
        copies = np.repeat(image, self._batch, axis=0)
        return [
            values[:1] if values.ndim and values.shape[0] == self._batch else values
            for values in self._session.run(list(names), {self.input: copies})
        ]
