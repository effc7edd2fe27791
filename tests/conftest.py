"""Where tests find the real models and images, and why they skip without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real models and images, or skip."""
    folder = Path(os.environ.get("QUANTIZE_SHARED", _ROOT.parent / "shared"))
    if not (folder / "imagenet" / "val.txt").is_file():
        pytest.skip(f"no real models and images in {folder} (set QUANTIZE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def squeezenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the zoo's SqueezeNet 1.0 at opset 12, rebuilt from its published weights."""
    from quantize.models.fetch import fetch

    destination = tmp_path_factory.mktemp("model") / "squeezenet1.0-12.onnx"
    return fetch("squeezenet1.0-12", destination, source="rebuilt").path


@pytest.fixture(scope="session")
def efficientnet(shared: Path) -> Path:
    """Return EfficientNet-Lite0 with its published weights."""
    return shared / "models" / "efficientnet_lite0.onnx"
