from __future__ import annotations

from pathlib import Path

import pytest

from quantize.graph.identity import weights_sha256
from quantize.models.download.fetch import fetch


@pytest.mark.network
@pytest.mark.parametrize(("network", "side"), [("mobilenet_v2", 224), ("inception_v3", 299)])
def test_a_classifier_of_the_npm_package_is_rebuilt_with_the_weights_that_the_catalog_knows(
    network: str, side: int, tmp_path: Path
) -> None:
    model = fetch(f"nsfwjs-{network}", tmp_path / "model.onnx")

    assert model.source == "rebuilt"
    assert weights_sha256(model.artifact.proto()) == model.entry.weights_sha256
    assert model.artifact.contract.input.shape == ("N", side, side, 3)
    assert (model.artifact.contract.classes, model.artifact.contract.scores) == (5, "softmax")
