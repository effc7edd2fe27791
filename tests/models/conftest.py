from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None]
Classifier = Callable[..., ModelProto]
Scores = Callable[[ModelProto, NDArray[np.float32]], NDArray[np.float32]]


def _classifier(
    body: Sequence[NodeProto] = (),
    constants: dict[str, NDArray[Any]] | None = None,
    *,
    opset: int = 13,
    image: Shape = ("N", 3, 8, 8),
    scores: Shape = ("N", 4, 1, 1),
    head: bool = True,
    output: str = "scores",
    output_type: int = TensorProto.FLOAT,
    **changes: Any,
) -> ModelProto:
    """Return Conv 3 -> 4 (`image` to `features`), `body` (to `last`, if it makes that), GlobalAveragePool, Softmax."""
    noise = np.random.default_rng(1)
    weights = {
        "w": noise.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "b": noise.standard_normal(4).astype(np.float32),
        **(constants or {}),
    }
    nodes = [helper.make_node("Conv", ["image", "w", "b"], ["features"], name="conv"), *body]
    if head:
        last = "last" if any("last" in node.output for node in body) else "features"
        nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"], name="pool"))
        nodes.append(helper.make_node("Softmax", ["pooled"], ["scores"], name="softmax", axis=1))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(output, output_type, scores)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, **{"opset_imports": [helper.make_opsetid("", opset)], "ir_version": 7, **changes})


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """Return a maker of small classifiers, `_classifier`."""
    return _classifier


@pytest.fixture(scope="session")
def run() -> Scores:
    """Return what runs a model on a batch of images."""
    from quantize.models.session import open_session

    def scores(model: ModelProto, images: NDArray[np.float32]) -> NDArray[np.float32]:
        session = open_session(model.SerializeToString())
        (scores,) = session.run(None, {session.get_inputs()[0].name: images})
        return np.asarray(scores)

    return scores


@pytest.fixture(scope="session")
def images() -> NDArray[np.float32]:
    """Return two images of 8x8 pixels."""
    return np.random.default_rng(2).standard_normal((2, 3, 8, 8)).astype(np.float32)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[ModelProto], Path]:
    """Return what writes a model to a file."""

    def save(model: ModelProto) -> Path:
        path = tmp_path / "source.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return save
