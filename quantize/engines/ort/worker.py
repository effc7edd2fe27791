"""The child process in which onnxruntime's quantizer runs.

The quantizer prints, warns on the root logger and writes temporary files; the order of its sets decides the order of
nodes. A process of its own keeps all that in the run's work folder, and makes the same graph every time.
"""

from __future__ import annotations

import errno
import inspect
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import onnx.shape_inference
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

from quantize.processes.parent import Message, Parent
from quantize.processes.refusal import refusal_of

_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile:99.999": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
_TYPES = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
_MOST_BATCHES = 8


class BatchReader:
    """Gives the quantizer calibration images from a file, batch by batch, as a ``CalibrationDataReader``."""

    def __init__(self, job: Message) -> None:
        self._images = np.memmap(job["images"], dtype=np.float32, mode="r", shape=tuple(job["shape"]))
        self._name, self._dtype, self._size = job["input"], job["dtype"], job["batch_size"]
        self._next, self._end = 0, len(self)

    def __len__(self) -> int:
        """Return the number of batches; where the images do not fill the last one, the first ones come again."""
        return -(-int(self._images.shape[0]) // int(self._size))

    def set_range(self, start_index: int, end_index: int) -> None:
        """Let ``get_next`` give some of the batches only: the quantizer holds all their tensors at once."""
        self._next, self._end = start_index, end_index

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """Return the next batch by input name; None after the last one."""
        if self._next >= self._end:
            return None
        rows = np.arange(self._next * self._size, (self._next + 1) * self._size) % len(self._images)
        self._next += 1
        return {self._name: self._images[rows].astype(self._dtype)}


def serve(parent: Parent) -> None:
    """Quantize one model as a job says, and answer with ``done`` or the error."""
    job = parent.receive()
    tell_unwritten_shapes()
    try:
        _quantize(job)
    except Exception as error:  # noqa: BLE001 - reported to the engine
        said = f"{type(error).__name__}: {error}"
        parent.send({"error": said, "traceback": traceback.format_exc(), "refused": refusal_of(error)})
    else:
        parent.send({"done": True})


def tell_unwritten_shapes() -> None:
    """Have onnx raise where it could not write a model with its shapes: it does not look, and an empty one is read."""
    infer = onnx.shape_inference.infer_shapes_path

    def checked(model_path: str, output_path: str = "", *arguments: Any, **named: Any) -> None:
        infer(model_path, output_path, *arguments, **named)
        written = Path(output_path or model_path)
        if not written.is_file() or written.stat().st_size == 0:
            raise OSError(errno.EIO, "could not be written", str(written))

    vars(onnx.shape_inference)["infer_shapes_path"] = checked


def _quantize(job: Message) -> None:
    reader = BatchReader(job)
    arguments: dict[str, Any] = {}
    if "calibration_cache_path" in inspect.signature(quantize_static).parameters:
        arguments["calibration_cache_path"] = job["ranges"]  # older versions take the ranges anew for each candidate
    quantize_static(
        job["model"],
        job["output"],
        reader,
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=job["op_types"],
        nodes_to_exclude=job["excluded"],
        per_channel=job["per_channel"],
        reduce_range=job["reduce_range"],
        activation_type=_TYPES[job["activation_type"]],
        weight_type=_TYPES[job["weight_type"]],
        calibrate_method=_METHODS[job["range_rule"]],
        extra_options={
            "ActivationSymmetric": job["symmetric_activations"],
            "CalibTensorRangeSymmetric": job["symmetric_activations"],
            "CalibStridedMinMax": _stride(len(reader)),
        },
        **arguments,
    )


def _stride(batches: int) -> int:
    """Return how many batches are collected at a time: the quantizer takes only a divisor of their number."""
    return max(count for count in range(1, _MOST_BATCHES + 1) if batches % count == 0)
