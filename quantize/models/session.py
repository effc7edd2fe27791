"""onnxruntime sessions on the CPU provider, configured the same everywhere, and whether their sums saturate."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state

from quantize.errors import ModelError


class UnopenedModelError(ModelError):
    """onnxruntime does not open a model."""


class MissingKernelError(UnopenedModelError):
    """onnxruntime knows an operator of the model, but this version has no CPU kernel for its types."""


Optimization = Literal["all", "extended", "basic", "none"]

_ERRORS = ("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NoSuchFile")
RUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    getattr(onnxruntime_pybind11_state, name) for name in (*_ERRORS, "NotImplemented", "RuntimeException")
)
"""What onnxruntime raises where it cannot load or run a model; they have no common base."""

NOT_RUN: tuple[type[Exception], ...] = (ModelError, *RUNTIME_ERRORS)
"""What a candidate raises that onnxruntime does not open or run: a fact about it, and a failed trial."""

_LEVELS = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_FATAL = 4


def open_session(
    model: Path | bytes,
    *,
    threads: int = 1,
    optimization: Optimization = "all",
    spinning: bool | None = None,
    arena: bool = True,
    prepacking: bool = True,
    keep_int8: bool = False,
    data: Path | None = None,
    profile_prefix: Path | None = None,
    optimized_path: Path | None = None,
    where: str | None = None,
) -> onnxruntime.InferenceSession:
    """Return a session on the CPU provider that prints nothing.

    Args:
        model: An ONNX file, or a serialized model.
        threads: Intra-op threads; operators run one after another.
        optimization: How far onnxruntime may rewrite the graph.
        spinning: Whether idle threads spin; None leaves onnxruntime's default.
        arena: Whether memory of tensors is kept for the next run; without, each is freed, which takes longer.
        prepacking: Whether weights are also kept as the kernels read them, which is faster and takes them twice.
        keep_int8: Whether int8 activations of QDQ files stay int8; by default onnxruntime makes them uint8 on x86.
        data: Folder of the external data of a serialized model.
        profile_prefix: Beginning of the profile's file name; the session's ``end_profiling`` returns the whole name.
        optimized_path: Where to write the graph as onnxruntime runs it.
        where: The model's name in errors; by default its path.

    Raises:
        MissingKernelError: onnxruntime has no CPU kernel for one of the model's operators.
        UnopenedModelError: onnxruntime cannot read the model.
        ValueError: ``threads`` is not positive.
    """
    if threads < 1:
        raise ValueError(f"a session needs at least one thread, not {threads}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = _LEVELS[optimization]
    options.log_severity_level = _FATAL
    options.enable_cpu_mem_arena = arena
    if spinning is not None:
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    if not prepacking:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if keep_int8:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    if data is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(data))
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_prefix)
    if optimized_path is not None:
        options.optimized_model_filepath = str(optimized_path)
    try:
        session = onnxruntime.InferenceSession(
            str(model) if isinstance(model, Path) else model,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,
        )
    except RUNTIME_ERRORS as error:
        missing = isinstance(error, onnxruntime_pybind11_state.NotImplemented)
        raise (MissingKernelError if missing else UnopenedModelError)(
            "onnxruntime cannot load the model",
            where=where or (str(model) if isinstance(model, Path) else None),
            found=str(error).strip(),
            expected=f"a model that onnxruntime {onnxruntime.__version__} runs on the CPU",
        ) from error
    if isinstance(model, bytes) and hasattr(session, "_model_bytes"):
        # It keeps the serialized model to open it again with other providers, of which there are none here.
        session._model_bytes = b""
    return session


_COUNT = 64
_DATA, _WEIGHT = 255, 127


@cache
def sums_saturate() -> bool:
    """Return whether products of uint8 and int8 add up to something else than they should here.

    Convolutions take the kernels of matrix products, or others that add as these do.
    """
    weights = numpy_helper.from_array(np.full((_COUNT, _COUNT), _WEIGHT, np.int8), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["data", "weights"], ["sums"])],
        "sums",
        [helper.make_tensor_value_info("data", TensorProto.UINT8, [1, _COUNT])],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, [1, _COUNT])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    (sums,) = open_session(model.SerializeToString()).run(None, {"data": np.full((1, _COUNT), _DATA, np.uint8)})
    return bool((np.asarray(sums) != _COUNT * _DATA * _WEIGHT).any())
