"""A model whose inner tensors are given from outside, each read as it is made: every layer alone, in one session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, helper

from quantize.formats.exact import open_exact_session
from quantize.graph.nodes import reads, rename_reads
from quantize.models.weights_apart import WeightsApart

_GIVEN = ":given"

Arrays = Mapping[str, npt.NDArray[Any]]


class FedModel:
    """Runs a model in an exact session with some of its tensors replaced for whatever reads them.

    Args:
        apart: A model in any format.
        given: One array for each tensor to be replaced: its type, and its shape but for the first axis, if
            it has one.
        read: The tensors to return, those that are replaced as they are made; others are float32.
    """

    def __init__(self, apart: WeightsApart, given: Arrays, read: Iterable[str]) -> None:
        model, fed = apart.model, ModelProto()
        fed.CopyFrom(model)
        names = {name: f"{name}{_GIVEN}" for name in given}
        for node in fed.graph.node:
            for name in sorted({name for name in reads(node) if name in names}):
                rename_reads(node, name, names[name])
        for name, values in given.items():
            kind = helper.np_dtype_to_tensor_dtype(values.dtype)
            shape = ["N", *values.shape[1:]] if values.ndim else []
            fed.graph.input.append(helper.make_tensor_value_info(names[name], kind, shape))
        own = {value.name: value for value in model.graph.output}
        self.read = tuple(read)
        del fed.graph.output[:], fed.graph.value_info[:]
        for name in self.read:
            values = given.get(name, np.empty(0, np.float32))
            kind = helper.np_dtype_to_tensor_dtype(values.dtype)
            fed.graph.output.append(own.get(name) or helper.make_tensor_value_info(name, kind, None))
        # Without the layouts of "all": onnxruntime 1.32 turns a tensor to channels last that is given channels first,
        # where it is a tensor that a layer made so.
        self._session = open_exact_session(
            fed, optimization="extended", arena=False, prepacking=False, data=apart.folder
        )
        self._names = names
        inputs = [value.name for value in self._session.get_inputs()]
        self._image = next(name for name in inputs if not name.endswith(_GIVEN))
        self._taken = set(inputs)

    def run(self, images: npt.NDArray[Any], given: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors by name, for images as the model takes them and arrays for the replaced tensors."""
        feeds = {self._image: images} | {self._names[name]: values for name, values in given.items()}
        results = self._session.run(self.read, {name: values for name, values in feeds.items() if name in self._taken})
        return dict(zip(self.read, results, strict=True))
