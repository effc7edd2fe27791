"""A model's constants while they are replaced."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper


class Constants(dict[str, onnx.TensorProto]):
    """A model's initializers by name, apart from it: what is replaced in a message stays allocated as long as that."""

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Constants:
        """Return those of a model, which is not changed."""
        return cls((tensor.name, tensor) for tensor in model.graph.initializer)

    def values_of(self, name: str) -> npt.NDArray[Any]:
        """Return the values of one."""
        return np.asarray(numpy_helper.to_array(self[name]))

    def replace(self, name: str, values: npt.NDArray[np.float32]) -> None:
        """Give one other values, or add it."""
        self[name] = numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name)
