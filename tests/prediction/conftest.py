from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

_COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "grey": (128, 128, 128)}


def _colour_model(*, softmax: bool = True, classes: int = 3, batch: int | str = "N") -> ModelProto:
    """Return a model whose scores are the means of the three channels; more classes score 0."""
    weights = np.zeros((classes, 3, 1, 1), np.float32)
    weights[:3, :, 0, 0] = np.eye(3)
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["means"]),
        helper.make_node("Conv", ["means", "w"], ["maps"]),
        helper.make_node("Flatten", ["maps"], ["logits"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["chances"], axis=1))
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


@pytest.fixture
def colour_model(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of models that classify a picture's main colour: red 0, green 1, blue 2."""

    def write(name: str = "colours.onnx", *, metadata: dict[str, str] | None = None, **changes: object) -> Path:
        model = _colour_model(**changes)  # type: ignore[arg-type]
        helper.set_model_props(model, metadata or {})
        (tmp_path / name).write_bytes(model.SerializeToString())
        return tmp_path / name

    return write


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Return a folder with a picture of each of four colours."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for place, name in (("", "red"), ("", "green"), ("below", "blue"), ("", "grey")):
        (folder / place / f"{name}.png").write_bytes(png(name))
    return folder


def png(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 16), _COLOURS[colour]).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def colour_png() -> Callable[[str], bytes]:
    """Return a maker of encoded pictures of one colour."""
    return png
