"""What this core can do at best: measured, not looked up."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from pydantic import BaseModel, ConfigDict

from quantize.benchmark.clock import Clock, monotonic
from quantize.models.session import open_session

_SIDE = 512
_RUNS = 25


class Peak(BaseModel):
    """The most multiply-adds a second that onnxruntime reaches here, in large matrix products.

    The product of two 512 x 512 matrices fits the second-level cache and is a pure chain of the instruction that
    int8 (or fp32) kernels live of. Where a core's VNNI peak is known it comes within some per cent of it: 470 G/s were
    found where 128 multiply-adds a cycle at 3.7 GHz make 474. Measured, it holds for every instruction set and clock.

    Attributes:
        int8: uint8 by int8 into int32, multiply-adds a second.
        fp32: Multiply-adds a second.
        threads: Threads that shared the work.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    int8: float
    fp32: float
    threads: int


def measure_peak(threads: int, *, clock: Clock = monotonic) -> Peak:
    """Measure both peaks in turns; the shortest of 25 runs counts, for a peak is what nothing disturbed."""
    generator = np.random.default_rng(0)
    shape = (_SIDE, _SIDE)
    weights = generator.integers(-127, 128, shape, dtype=np.int8)
    bytes_in = generator.integers(0, 256, shape, dtype=np.uint8)
    floats, floats_in = weights.astype(np.float32), bytes_in.astype(np.float32)
    runs = [
        (open_session(_product(op, kind, result, values).SerializeToString(), threads=threads), {"a": data})
        for op, kind, result, values, data in (
            ("MatMulInteger", TensorProto.UINT8, TensorProto.INT32, weights, bytes_in),
            ("MatMul", TensorProto.FLOAT, TensorProto.FLOAT, floats, floats_in),
        )
    ]
    shortest = [float("inf"), float("inf")]
    for _ in range(_RUNS):
        for index, (session, feed) in enumerate(runs):
            session.run(None, feed)  # the other product has taken the caches
            begin = clock()
            session.run(None, feed)
            shortest[index] = min(shortest[index], clock() - begin)
    rates = [_SIDE**3 * 1e9 / max(duration, 1) for duration in shortest]
    return Peak(int8=rates[0], fp32=rates[1], threads=threads)


def _product(op: str, kind: int, result: int, weights: np.ndarray) -> ModelProto:  # type: ignore[type-arg]
    graph = helper.make_graph(
        [helper.make_node(op, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", kind, [_SIDE, _SIDE])],
        [helper.make_tensor_value_info("c", result, [_SIDE, _SIDE])],
        [numpy_helper.from_array(weights, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
