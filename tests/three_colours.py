"""A model that classifies three colours, and labelled pictures for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image


def write_colours(place: Path, model_name: str = "model.onnx", *, pictures: int = 30, opset: int = 13) -> None:
    """Write the model, ``images/`` and ``labels.txt`` into a folder."""
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w", "b"], ["maps"], name="conv"),
            helper.make_node("Relu", ["maps"], ["features"], name="relu"),
            helper.make_node("GlobalAveragePool", ["features"], ["means"], name="pool"),
            helper.make_node("Softmax", ["means"], ["scores"], name="softmax", axis=1),
        ],
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3, 1, 1])],
        [
            numpy_helper.from_array(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "w"),
            numpy_helper.from_array(np.full(3, 2, np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    (place / model_name).write_bytes(model.SerializeToString())
    (place / "images").mkdir()
    lines = []
    for number in range(pictures):
        pixels = np.random.default_rng(number).integers(0, 60, (9, 9, 3), dtype=np.uint8)
        pixels[..., number % 3] += 150
        Image.fromarray(pixels).save(place / "images" / f"{number:02d}.png")
        lines.append(f"{number:02d}.png {number % 3}\n")
    (place / "labels.txt").write_text("".join(lines))
