"""Neural Compressor 1.x values that have another name here or are only partly supported."""

from __future__ import annotations

import re
from typing import Any

from quantize.config.document import Document, KeyPath
from quantize.config.problem import dotted

_FRAMEWORK: KeyPath = ("model", "framework")
_STRATEGY: KeyPath = ("tuning", "strategy", "name")
_APPROACH: KeyPath = ("quantization", "approach")
_SAMPLING: KeyPath = ("quantization", "calibration", "sampling_size")
_ITERATION: KeyPath = ("evaluation", "performance", "iteration")
_METRIC: KeyPath = ("evaluation", "accuracy", "metric")

_ALIASES: dict[KeyPath, dict[str, str]] = {
    _FRAMEWORK: {
        "onnxrt_qlinear": "onnxrt_qlinearops",
        "onnxrt_qdqops": "onnxrt_qdq",
        "NA": "onnxrt_qlinearops",
    },
    _APPROACH: {"post_training_auto_quant": "post_training_static_quant"},
    # Strategies that Neural Compressor gave up; the bayesian one is the like of both.
    _STRATEGY: {"sigopt": "bayesian", "tpe": "bayesian"},
}


def replace_aliases(document: Document, notes: list[str]) -> None:
    """Replace values by their equivalents here, with a note for each."""
    for path, names in _ALIASES.items():
        value = document.get(path)
        if isinstance(value, str) and value in names:
            _replace(document, path, names[value], notes)
    sizes = _numbers(document.get(_SAMPLING))
    if len(sizes) > 1:
        _replace(document, _SAMPLING, sizes[0], notes, "the first of them; one calibration set is drawn")
    elif len(sizes) == 1:
        document.put(_SAMPLING, sizes[0], where=document.where(_SAMPLING))
    if document.get(_ITERATION) == -1:  # 1.x: as many as the data set has images
        document.take(_ITERATION)
        notes.append(f"{document.where(_ITERATION)}: {dotted(_ITERATION)}: -1 read as the default")
    metric = document.get(_METRIC)
    if isinstance(metric, dict) and "Accuracy" in metric and metric["Accuracy"] in (None, {}):
        where = document.where((*_METRIC, "Accuracy"), key=True)
        document.take((*_METRIC, "Accuracy"))
        if not document.has((*_METRIC, "topk")):
            document.put((*_METRIC, "topk"), 1, where=where)
        notes.append(f"{where}: {dotted(_METRIC)}: Accuracy read as topk 1")


def _replace(document: Document, path: KeyPath, value: Any, notes: list[str], why: str = "") -> None:
    where = document.where(path)
    notes.append(f"{where}: {dotted(path)}: {document.get(path)} read as {value}{': ' + why if why else ''}")
    document.put(path, value, where=where)


def _numbers(value: Any) -> list[Any]:
    """Return the parts of a list, or of a text such as ``50, 100``."""
    if isinstance(value, str) and re.fullmatch(r"\s*\d+(?:[\s,]+\d+)+\s*", value):
        return [int(part) for part in re.split(r"[\s,]+", value.strip())]
    return list(value) if isinstance(value, list) else []
