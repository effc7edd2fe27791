"""Where tests find the real models and images, and why they skip without them."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from onnx import ModelProto

    from quantize.config import RunConfig
    from quantize.measurement.machine.cpu_measurement import Machine
    from quantize.run.request import TuneResult

    ExactSession = Callable[[ModelProto | Path], onnxruntime.InferenceSession]

_ROOT = Path(__file__).resolve().parent.parent

# A script's background ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow or busy machine is no reason to fail.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked ``inc`` in an environment without Neural Compressor."""
    if item.get_closest_marker("inc") and find_spec("neural_compressor") is None:
        pytest.skip("the extra inc is not installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first: processes side by side end together then."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True)
def _quiet_logger() -> Iterator[None]:
    """Restore the package's logger after every test, as commands configure it for a terminal."""
    logger = logging.getLogger("quantize")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture(scope="session")
def exact_session() -> ExactSession:
    """Return a function that opens a model so that it computes exactly on every CPU."""
    from quantize.formats.exact import open_exact_session

    return open_exact_session


@pytest.fixture(scope="session")
def eight_bit_space_to_depth() -> None:
    """Skip if onnxruntime cannot open a SpaceToDepth of uint8, as on Python 3.10."""
    from onnx import TensorProto, helper

    from quantize.models.session import MissingKernelError, open_session

    node = helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=2)
    values = [helper.make_tensor_value_info(name, TensorProto.UINT8, None) for name in "xy"]
    graph = helper.make_graph([node], "folding", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    try:
        open_session(model.SerializeToString())
    except MissingKernelError:
        pytest.skip(f"onnxruntime {onnxruntime.__version__} has no 8-bit SpaceToDepth")


@pytest.fixture(scope="session")
def recorded_machines() -> Mapping[str, Machine]:
    """Return measurements of real CPUs by class, made with ``quantize machine --json --cores_per_instance 1``."""
    from quantize.measurement.machine.cpu_measurement import Machine

    names = {"vnni": "zen5_vnni", "avx2": "zen5_held_to_avx2"}
    folder = Path(__file__).parent / "machines"
    return {
        cpu_class: Machine.model_validate_json((folder / f"{name}.json").read_text(encoding="utf-8"))
        for cpu_class, name in names.items()
    }


@pytest.fixture(autouse=True)
def _recorded_machine(monkeypatch: pytest.MonkeyPatch, recorded_machines: Mapping[str, Machine]) -> None:
    """Replace measuring the machine by a recorded one of the same CPU class, in every test."""
    from quantize.measurement.machine import measure_cpu
    from quantize.measurement.machine.cpu_class import this_cpu_class

    def recorded(threads: int = 1, *, again: bool = False) -> measure_cpu.Known:
        machine = recorded_machines["vnni" if this_cpu_class() == "vnni" else "avx2"]
        several = None if threads == 1 else machine.single.model_copy(update={"threads": threads})
        return measure_cpu.Known(machine.model_copy(update={"several": several}), None)

    monkeypatch.setattr(measure_cpu, "this_machine", recorded)


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
    from quantize.models.download.fetch import fetch

    destination = tmp_path_factory.mktemp("model") / "squeezenet1.0-12.onnx"
    return fetch("squeezenet1.0-12", destination, source="rebuilt").path


@pytest.fixture(scope="session")
def efficientnet(shared: Path) -> Path:
    """Return EfficientNet-Lite0 with its published weights."""
    return shared / "models" / "efficientnet_lite0.onnx"


@pytest.fixture(scope="session")
def squeezenet_run(shared: Path, squeezenet: Path, tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    """Return Neural Compressor's run on SqueezeNet and the 500 images, with preset ``caffe``; do not write into it.

    To save a minute, nothing is rewritten and little is timed: the speeds mean nothing, so no layer is placed by them.
    The target is named, which gives the same model and, in exact sessions, the same accuracy on every CPU.
    """
    pytest.importorskip("neural_compressor")
    from quantize.config import load_config
    from quantize.run.request import TuneRequest
    from quantize.run.tune import tune

    images = shared / "imagenet"
    settings = {
        "data.path": str(images / "val"),
        "data.labels": str(images / "val.txt"),
        "preprocessing.preset": "caffe",
        "quantization.target": "vnni",
        "evaluation.performance.iteration": 100,
        "tuning.speed_criterion.min_speedup": 0,
        "evaluation.performance.max_seconds": 5,
        "tuning.placement": "all-int8",
        "rewrites": "none",
    }
    config = load_config(_ROOT / "configs" / "squeezenet.yaml", settings)
    output = tmp_path_factory.mktemp("squeezenet") / "run"
    return tune(TuneRequest(config, input_model=squeezenet, output_model=output))


@pytest.fixture(scope="session")
def colour_images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a folder of 96 noisy images in six colours and its label file."""
    import numpy as np
    from PIL import Image

    from tests.run.colours import COLOURS, SIDE

    folder = tmp_path_factory.mktemp("colours")
    (folder / "val").mkdir()
    generator = np.random.default_rng(5)
    lines = []
    for number in range(96):
        label = number % len(COLOURS)
        pixels = np.array(COLOURS[label]) + generator.normal(0, 35, (SIDE, SIDE, 3))
        name = f"image{number:03d}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / "val" / name)
        lines.append(f"{name} {label}\n")
    (folder / "val.txt").write_text("".join(lines))
    return folder / "val", folder / "val.txt"


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Conv-Relu-Conv-pool-Softmax classifier of the six colours, for pixels 0-255 in RGB."""
    import onnx

    from tests.run.colours import colours

    path = tmp_path_factory.mktemp("model") / "colours-13.onnx"
    onnx.save(colours(), path)
    return path


@pytest.fixture(scope="session")
def configured(colour_images: tuple[Path, Path]) -> Callable[..., RunConfig]:
    """Return a maker of the settings for the small classifier, some of them changed (None: not given)."""

    from quantize.config import load_config
    from tests.run.colours import SETTINGS

    def make(changes: dict[str, object] | None = None) -> RunConfig:
        data, labels = colour_images
        given = {**SETTINGS, "data.path": str(data), "data.labels": str(labels), **(changes or {})}
        return load_config(None, {key: value for key, value in given.items() if value is not None})

    return make


@pytest.fixture(scope="session")
def ort_run(
    colour_model: Path, configured: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory
) -> TuneResult:
    """Return a finished run on the small classifier, with onnxruntime's own quantizer; do not write into it."""
    from quantize.run.request import TuneRequest
    from quantize.run.tune import tune

    output = tmp_path_factory.mktemp("ort") / "out"
    config = configured({"tuning.engine": "ort"})
    return tune(TuneRequest(config, input_model=colour_model, output_model=output, workers=1))
