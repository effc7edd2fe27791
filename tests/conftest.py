"""Where tests find the real models and images, and why they skip without them."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime
import pytest

if TYPE_CHECKING:
    from quantize.api.request import TuneResult

_ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked ``inc`` in an environment without Neural Compressor."""
    if item.get_closest_marker("inc") and find_spec("neural_compressor") is None:
        pytest.skip("the extra inc is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Skip where onnxruntime is too old for 8-bit SpaceToDepth, as on Python 3.10."""
    try:
        return (yield)
    except Exception as error:
        if "Could not find an implementation for SpaceToDepth" not in f"{error} {error.__context__}":
            raise
        pytest.skip(f"onnxruntime {onnxruntime.__version__} has no 8-bit SpaceToDepth")


@pytest.fixture(autouse=True)
def _quiet_logger() -> Iterator[None]:
    """Give every test the package's logger as it is before a command has set it up for a terminal."""
    logger = logging.getLogger("quantize")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


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


@pytest.fixture(scope="session")
def squeezenet_run(shared: Path, squeezenet: Path, tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    """Return Neural Compressor's run on SqueezeNet and the 500 images, with preset ``caffe``; do not write into it.

    Nothing is rewritten and little is timed, which saves a minute: figures of speed mean nothing here, so that no layer
    is placed by them.
    """
    pytest.importorskip("neural_compressor")
    from quantize.api.request import TuneRequest
    from quantize.api.tune import tune
    from quantize.config import load_config

    images = shared / "imagenet"
    settings = {
        "data.path": str(images / "val"),
        "data.labels": str(images / "val.txt"),
        "preprocessing.preset": "caffe",
        "evaluation.performance.iteration": 100,
        "evaluation.performance.max_seconds": 5,
        "tuning.placement": "all-int8",
        "rewrites": "none",
    }
    config = load_config(_ROOT / "configs" / "squeezenet.yaml", settings)
    output = tmp_path_factory.mktemp("squeezenet") / "run"
    return tune(TuneRequest(config, input_model=squeezenet, output_model=output))
