"""Read a layers model of TensorFlow.js that was bundled as JavaScript: its layers and its weights.

Source: tfjs-layers' user-facing format (https://www.tensorflow.org/js/guide/save_load, "model.json" with a weights
manifest; quantized weights are ``min + scale * value``). The bundle is browserify's: it exports the object, and the
weights' files as strings in base64. It is for files whose bytes are proven by a hash.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*")|(?P<flag>![01])|(?P<name>[A-Za-z_$][\w$]*)"""
    r"""|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<mark>[{}\[\]:,])"""
)
_WORDS = ("null", "true", "false")


def exported_object(script: str) -> dict[str, Any]:
    """Return the object that a bundled script exports.

    Raises:
        ValueError: It exports none.
    """
    start = script.find("exports={")
    if start < 0:
        raise ValueError("the script exports no object")
    parts = []
    depth = 0
    for token in _TOKEN.finditer(script, start + len("exports=")):
        parts.append(_as_json(token))
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if depth == 0:
            break
    known: dict[str, Any] = json.loads("".join(parts))
    return known


def exported_bytes(script: str) -> bytes:
    """Return the bytes that a bundled script exports in base64.

    Raises:
        ValueError: It exports none.
    """
    found = re.search(r'exports="([A-Za-z0-9+/=]+)"', script)
    if found is None:
        raise ValueError("the script exports no text in base64")
    return base64.b64decode(found.group(1), validate=True)


def layers_of(model: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the layers of a model in the order in which they compute."""
    layers: Sequence[Mapping[str, Any]] = model["modelTopology"]["model_config"]["config"]["layers"]
    return layers


def weights_of(model: Mapping[str, Any], content: bytes) -> dict[str, NDArray[np.float32]]:
    """Return the weights by name, such as ``Conv1/kernel``, float32 in TensorFlow's layout.

    Args:
        model: From ``exported_object``.
        content: All files of the manifest, one behind the other.

    Raises:
        ValueError: The bytes are not as many as the manifest says.
    """
    weights: dict[str, NDArray[np.float32]] = {}
    place = 0
    for group in model["weightsManifest"]:
        for entry in group["weights"]:
            count = int(np.prod(entry["shape"], dtype=np.int64))
            packed = entry.get("quantization")
            kind = np.dtype(packed["dtype"] if packed else entry["dtype"]).newbyteorder("<")
            values = np.frombuffer(content, kind, count, place)
            place += count * kind.itemsize
            if packed:
                values = values.astype(np.float32) * np.float32(packed["scale"]) + np.float32(packed["min"])
            weights[entry["name"]] = np.asarray(values, np.float32).reshape(entry["shape"])
    if place != len(content):
        raise ValueError(f"{len(content):,} bytes of weights where the manifest has {place:,}")
    return weights


def _as_json(token: re.Match[str]) -> str:
    text = token.group()
    if token.lastgroup == "flag":
        return "true" if text == "!0" else "false"
    if token.lastgroup == "name" and text not in _WORDS:
        return f'"{text}"'
    return repr(float(text)) if token.lastgroup == "number" and "." in text else text
