"""The opset and the IR version of a model, and what the installed onnxruntime reads of them."""

from __future__ import annotations

from functools import cache

import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, helper

from quantize.errors import ModelError
from quantize.graph.nodes import DEFAULT_DOMAIN, default_opset
from quantize.models.session import open_session

_OLDEST = 7
"""onnxruntime promises to run models from this opset on; older ones are raised before it sees them."""


def with_read_versions(model: ModelProto, where: str) -> tuple[ModelProto, tuple[str, ...]]:
    """Return a model whose versions the installed onnxruntime reads, and a note of what was changed.

    An IR version that is too new is lowered to the least that the opset needs: whatever it has brought, a graph that
    opens under the lower one is the same.

    Args:
        model: As read from its file.
        where: The model's name in errors.

    Raises:
        ModelError: onnxruntime does not read the opset.
    """
    opset, version = max(default_opset(model), _OLDEST), int(model.ir_version)
    lowest = helper.find_min_ir_version_for([helper.make_opsetid(DEFAULT_DOMAIN, opset)], ignore_unknown=True)
    if _reads(opset, version):
        return model, ()
    if not _reads(opset, lowest):
        raise ModelError(
            "the model's opset is newer than the installed onnxruntime reads",
            where=where,
            found=f"opset {opset}",
            expected=f"an opset that onnxruntime {onnxruntime.__version__} reads",
            advice="export the model with a lower opset, such as 17, or install a newer onnxruntime",
        )
    lowered = ModelProto()
    lowered.CopyFrom(model)
    lowered.ir_version = lowest
    return lowered, (f"IR version {version} is newer than onnxruntime reads: the model was read as version {lowest}.",)


def known_opset(opset: int) -> int:
    """Return an opset, or the newest that the installed onnx knows, if that is lower: what models are written at."""
    return min(opset, int(onnx.defs.onnx_opset_version()))


@cache
def _reads(opset: int, ir_version: int) -> bool:
    """Ask onnxruntime whether it opens a model of these versions."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "versions",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(DEFAULT_DOMAIN, opset)], ir_version=ir_version)
    try:
        open_session(model.SerializeToString())
    except ModelError:
        return False
    return True
