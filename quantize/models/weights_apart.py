"""A model's large weights in a file of their own, which all sessions of it and of its parts share.

onnxruntime maps such a file into memory. A serialized model of 100 MB takes that much more for itself and once more as
onnxruntime parses it, for every session that is opened; and each copy with other outputs once more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ModelProto, TensorProto, numpy_helper

from quantize.files import scratch_folder
from quantize.graph.shell import without_constants
from quantize.models.session import open_session

_FILE = "weights"
_LEAST = 1024
"""Elements above which matrices lie apart: for few it does not pay."""
_PAGE = 4096
"""Bytes that each tensor begins at a multiple of: what a system maps."""


@dataclass(frozen=True)
class WeightsApart:
    """A model without its large weights, and what opens it with them.

    Attributes:
        model: The model; its large float32 matrices have no values, but say where they lie.
        folder: Where their file is.
    """

    model: ModelProto
    folder: Path

    def put(self, tensors: Iterable[TensorProto]) -> list[TensorProto]:
        """Add constants to the file, and return what stands for them in models that are opened with it."""
        with (self.folder / _FILE).open("ab") as stream:
            return [_put(tensor, stream) for tensor in tensors]

    def put_parts(self, name: str, dims: Sequence[int], parts: Iterable[npt.NDArray[np.float32]]) -> TensorProto:
        """Add a constant that is made in parts, and return what stands for it, see ``put``.

        Args:
            name: Its name.
            dims: Its size.
            parts: Its values, those of the first indices first.
        """
        if _stays(dims):
            whole = np.concatenate([np.asarray(part, np.float32).reshape(-1) for part in parts])
            return numpy_helper.from_array(whole.reshape(tuple(dims)), name)
        with (self.folder / _FILE).open("ab") as stream:
            return _written(name, dims, parts, stream)

    def open(self, model: ModelProto | bytes, **how: Any) -> onnxruntime.InferenceSession:
        """Return a session of a model that was made of this one, see ``open_session``."""
        content = model if isinstance(model, bytes) else model.SerializeToString()
        return open_session(content, data=self.folder, **how)


@contextmanager
def weights_apart(model: ModelProto) -> Iterator[WeightsApart]:
    """Yield a copy of a model whose large weights lie in a temporary file.

    Sessions that were opened meanwhile run on afterwards.

    Args:
        model: Not changed, and not needed any more once this is entered.

    Raises:
        StorageError: There is no room for the file, or for what is added to it.
    """
    with scratch_folder("weights") as folder:
        apart = WeightsApart(without_constants(model), folder)
        apart.model.graph.initializer.extend(apart.put(model.graph.initializer))
        del model  # else it would be held until the end, also where the caller has let go of it
        yield apart


def bytes_of_constants(model: ModelProto) -> int:
    """Return what the main graph's initializers take as float32, wherever their values lie."""
    return sum(4 * math.prod(tensor.dims) for tensor in model.graph.initializer)


def _put(tensor: TensorProto, stream: BinaryIO) -> TensorProto:
    """Write a large matrix, and return a constant that says where it lies; any other is returned itself."""
    if tensor.data_type != TensorProto.FLOAT or _stays(tensor.dims):
        return tensor
    return _written(tensor.name, tensor.dims, [numpy_helper.to_array(tensor)], stream)


def _stays(dims: Sequence[int]) -> bool:
    """Return whether a constant stays in the model: scales, zero points and biases are read from there."""
    return sum(size > 1 for size in dims) <= 1 or math.prod(dims) <= _LEAST


def _written(name: str, dims: Sequence[int], parts: Iterable[npt.NDArray[np.float32]], stream: BinaryIO) -> TensorProto:
    stream.write(bytes(-stream.tell() % _PAGE))
    offset = stream.tell()
    for part in parts:
        stream.write(np.ascontiguousarray(part, "<f4").data)
    light = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)
    light.data_location = TensorProto.EXTERNAL
    for key, value in (("location", _FILE), ("offset", offset), ("length", stream.tell() - offset)):
        light.external_data.add(key=key, value=str(value))
    return light
