"""Raising the opset of a whole model."""

from __future__ import annotations

import onnx.defs
from onnx import ModelProto, helper

from quantize.errors import ModelError
from quantize.graph.constants import store_constants
from quantize.graph.nodes import default_opset
from quantize.graph.opsets import beyond_thirteen, to_seven, to_thirteen
from quantize.graph.opsets.step import Adapter, apply_step

OLDEST_OPSET = 3

ADAPTERS: dict[int, dict[str, Adapter]] = {**to_seven.ADAPTERS, **to_thirteen.ADAPTERS, **beyond_thirteen.ADAPTERS}
"""The operators whose definition changed so that a node of the version before has to change, by new version."""


def raise_opset(model: ModelProto, opset: int, *, where: str | None = None) -> ModelProto:
    """Return a model that computes the same at a newer version of the default operator set.

    Unlike ``onnx.version_converter`` it keeps names, takes operators of other domains, and leaves no Shape, Flatten and
    Reshape around a Softmax whose trailing dimensions are 1.

    Args:
        model: Not changed; of opset 3 or newer.
        opset: At most the newest that the installed onnx knows; an older one than the model's leaves it as it is.
        where: The model's name in errors.

    Raises:
        ModelError: The model is of opset 1 or 2, or an operator cannot follow its definition's change.
        ValueError: There is no such opset.
    """
    present = default_opset(model)
    if opset > (newest := onnx.defs.onnx_opset_version()):
        raise ValueError(f"opset {opset} is newer than opset {newest} of the installed onnx")
    if present < OLDEST_OPSET:
        raise ModelError(
            "the model's opset is too old",
            where=where,
            found=f"opset {present}",
            expected=f"opset {OLDEST_OPSET} or newer",
            advice="export the model again, best with opset 13",
        )
    raised = ModelProto()
    raised.CopyFrom(model)
    if opset <= present:
        return raised
    store_constants(raised)
    for version in range(present + 1, opset + 1):
        apply_step(raised, version, ADAPTERS.get(version, {}), where)
    raised.ir_version = max(raised.ir_version, helper.find_min_ir_version_for(raised.opset_import, ignore_unknown=True))
    return raised
