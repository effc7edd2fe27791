"""A model without its constants, made without copying them."""

from __future__ import annotations

from google.protobuf.message import Message
from onnx import ModelProto


def without_constants(model: ModelProto) -> ModelProto:
    """Return a copy of a model that has none of the main graph's initializers.

    What is copied and deleted again would stay allocated as long as the copy.
    """
    shell = ModelProto()
    _take(shell, model, but="graph")
    _take(shell.graph, model.graph, but="initializer")
    return shell


def _take(into: Message, given: Message, *, but: str) -> None:
    for field, value in given.ListFields():
        if field.name == but:
            continue
        if isinstance(value, Message):
            getattr(into, field.name).CopyFrom(value)
        elif hasattr(value, "extend"):  # a repeated field
            getattr(into, field.name).extend(value)
        else:
            setattr(into, field.name, value)
