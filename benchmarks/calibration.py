"""Memory and time of calibration: this tool next to onnxruntime's calibrators and Neural Compressor's.

    python benchmarks/calibration.py --model squeezenet1.0-12.onnx --data imagenet/val --preset caffe

Each run is a process of its own. Time is compared with plain inference of the same images with all tensors exposed,
measured in the same process before and after; memory is the highest resident size above that of the open session.
Neural Compressor is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from quantize.calibration.collect import collect
from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.preprocessing import PRESETS
from quantize.models.prepare import prepare
from quantize.models.session import open_session

OURS = "this tool (histograms, min, max, means: every rule)"
METHODS = (
    OURS,
    "onnxruntime min-max",
    "onnxruntime percentile",
    "onnxruntime entropy",
    "Neural Compressor min-max",
    "Neural Compressor percentile",
    "Neural Compressor kl",
)
# What keeps all activations is not asked for more images than fit into memory with certainty.
LIMITS = {name: 100 for name in METHODS if "percentile" in name or "entropy" in name or "kl" in name}


class Repeated:
    """Images from a file, over again until so many are given; the file's pages are not this process' memory."""

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._count = path, count

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for number in range(self._count):
            mapped = np.load(self._path, mmap_mode="r")
            yield np.array(mapped[number % len(mapped)][None])


class Memory:
    """Resident size of this process, in bytes, as Linux reports it."""

    @staticmethod
    def now(field: str) -> int:
        """Return VmRSS (now) or VmHWM (the highest since it was forgotten)."""
        text = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(field))

    @staticmethod
    def forget_peak() -> None:
        """Let the highest size begin from now."""
        Path("/proc/self/clear_refs").write_text("5")


def exposed(model: onnx.ModelProto) -> bytes:
    """The model with every tensor as an output."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    present = {value.name for value in result.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in present:
                result.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return bytes(result.SerializeToString())


def calibration(name: str, path: Path, images: Repeated, threads: int) -> Callable[[], object]:
    """Return what calibrates with a method."""
    if name == OURS:
        from quantize.data.batches import Batch

        given = (Batch(("image",), image, None) for image in images)
        return lambda: collect(onnx.load(path), given, threads=max(1, threads - 1))
    if name.startswith("onnxruntime"):
        return lambda: onnxruntime_calibration(name.split()[-1], path, images)
    return lambda: neural_compressor_calibration(name.split()[-1].replace("min-max", "minmax"), path, images)


def onnxruntime_calibration(rule: str, path: Path, images: Repeated) -> object:
    """Calibrate with onnxruntime's own calibrator of a rule."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, create_calibrator

    name = onnx.load(path).graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._iterator = iter(images)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            image = next(self._iterator, None)
            return None if image is None else {name: image}

    method = {
        "min-max": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }[rule]
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            path, augmented_model_path=str(Path(folder) / "augmented.onnx"), calibrate_method=method
        )
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


def neural_compressor_calibration(rule: str, path: Path, images: Repeated) -> object:
    """Calibrate as Neural Compressor's onnxruntime adaptor does with a rule."""
    from neural_compressor.adaptor.ox_utils.calibration import ONNXRTAugment
    from neural_compressor.model.onnx_model import ONNXModel

    class Loader:
        batch_size = 1

        def __iter__(self) -> Iterator[tuple[NDArray[Any], int]]:
            return ((image, 0) for image in images)

    model = ONNXModel(str(path))
    types = sorted({node.op_type for node in model.model.graph.node})
    augment = ONNXRTAugment(model, Loader(), types, iterations=list(range(10**6)))
    activation = {"algorithm": rule, "scheme": "asym", "dtype": "uint8", "granularity": "per_tensor"}
    return augment.dump_minmax({node.name: {"activation": activation} for node in model.model.graph.node})


def measure_method(arguments: argparse.Namespace) -> None:
    """Measure one method in this process and print the figures as JSON."""
    logging.disable(logging.WARNING)
    images = Path(arguments.images)
    path = Path(arguments.model)
    session = open_session(exposed(onnx.load(path)), threads=arguments.threads)
    name = session.get_inputs()[0].name

    def plain(count: int) -> float:
        begin = time.perf_counter()
        for image in Repeated(images, count):
            session.run(None, {name: image})
        return (time.perf_counter() - begin) / count

    plain(5)
    reference = min(arguments.count, 50)
    before = plain(reference)
    run = calibration(arguments.method, path, Repeated(images, arguments.count), arguments.threads)
    Memory.forget_peak()
    base = Memory.now("VmRSS")
    begin = time.perf_counter()
    run()
    seconds = time.perf_counter() - begin
    memory = Memory.now("VmHWM") - base
    after = plain(reference)
    figures = {
        "method": arguments.method,
        "images": arguments.count,
        "seconds": seconds,
        "plain_seconds": (before + after) / 2 * arguments.count,
        "times_plain": seconds / ((before + after) / 2 * arguments.count),
        "memory_bytes": memory,
    }
    print("FIGURES " + json.dumps(figures))


def main() -> None:
    """Measure all methods and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="fp32 ONNX model, or the prepared one of a child process")
    parser.add_argument("--data", type=Path, help="folder of images")
    parser.add_argument("--preset", default="imagenet", choices=sorted(PRESETS))
    parser.add_argument("--counts", type=int, nargs="+", default=[50, 100, 500])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--images", help=argparse.SUPPRESS)
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.method is not None:
        measure_method(arguments)
        return
    measurements = []
    with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
        model = prepare(Path(arguments.model), Path(folder) / "prepared.onnx")
        preprocessing = PRESETS[arguments.preset].for_input_size(*(model.contract.image_size or (224, 224)))
        crops = crop_images(open_images(arguments.data, None, classes=None), preprocessing, Path(folder) / "crops")
        crops = crops.subset(range(min(len(crops), max(arguments.counts))))
        images = np.concatenate([batch.images for batch in Batches(crops, preprocessing, 50)])
        np.save(Path(folder) / "images.npy", images)
        print(f"{'images':>7}  {'seconds':>8}  {'x plain':>8}  {'MB above session':>16}  method")
        for method in arguments.methods:
            for count in arguments.counts:
                if count <= LIMITS.get(method, count):
                    figures = measured(method, count, model.path, Path(folder) / "images.npy", arguments.threads)
                    measurements.append(figures)
                    print(line(figures), flush=True)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(measurements, indent=1) + "\n")


def measured(method: str, count: int, model: Path, images: Path, threads: int) -> dict[str, object]:
    """Measure one method in a process of its own."""
    command = [sys.executable, __file__, "--model", str(model), "--images", str(images), "--method", method]
    run = subprocess.run(
        [*command, "--count", str(count), "--threads", str(threads)], capture_output=True, text=True, check=False
    )
    for printed in run.stdout.splitlines():
        if printed.startswith("FIGURES "):
            return dict(json.loads(printed.removeprefix("FIGURES ")))
    reason = (run.stderr.strip().splitlines() or ["no output"])[-1]
    return {"method": method, "images": count, "failed": reason}


def line(figures: dict[str, object]) -> str:
    """Return a row of the table."""
    if "failed" in figures:
        return f"{figures['images']:>7}  {'-':>8}  {'-':>8}  {'-':>16}  {figures['method']}: {figures['failed']}"
    megabytes = float(str(figures["memory_bytes"])) / 1e6
    return (
        f"{figures['images']:>7}  {figures['seconds']:8.1f}  {figures['times_plain']:8.2f}  {megabytes:16.0f}  "
        f"{figures['method']}"
    )


if __name__ == "__main__":
    main()
