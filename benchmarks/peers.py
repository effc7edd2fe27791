"""This tool's int8 model next to those of its peers: accuracy on the same images, latency in one paired measurement.

    pip install '.[inc,peers]'
    python benchmarks/peers.py --data_path VAL --label_path VAL.txt \
        [--network efficientnet_lite0.onnx efficientnet_lite …] [--seconds 60] [--folder runs/peers] [--output PEERS.md]

SqueezeNet 1.0 (preset caffe) is always there, other networks are named with their preset. All calibrate on the same
100 images and are judged on the others. The contenders:

- fp32 on onnxruntime, the baseline of every ratio;
- Neural Compressor's model, tuned under 1 % relative by this tool (float head, scores corrected), without rewrites;
- onnxruntime's ``quantize_static``: min-max, per channel, uint8 activations and int8 weights, QDQ;
- the same with its settings tuned under 1 % relative by this tool (``--engine ort``), without rewrites, QDQ;
- NNCF's model (mixed preset) on the OpenVINO runtime, at its hint for latency;
- ours: the native engine under 1 % relative with the default rewrites, both formats.

One process, every contender in alternating blocks, one image at a time; one thread, then all cores.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.data.split import split
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.fidelity import fidelity_of
from quantize.evaluation.outcomes import outcomes_of
from quantize.measurement.machine.environment import read_environment
from quantize.measurement.timing.blocks import paired_log_ratios, round_levels
from quantize.measurement.timing.interleave import OpenSession, Run, interleave
from quantize.measurement.timing.measure import precise_enough
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.speedup import Speedup, speedup
from quantize.models.artifact import ModelArtifact
from quantize.models.contract import score_kind
from quantize.models.download.fetch import fetch
from quantize.models.prepare import prepare
from quantize.models.session import open_session

Floats = NDArray[np.float32]
Scores = Callable[[Floats], Floats]
CALIBRATION, TIMED, BATCH, SEED = 100, 64, 8, 1978


class Network:
    """One network: its images, and the contenders' files in a folder of its own."""

    def __init__(self, source: Path, preset: str, given: argparse.Namespace) -> None:
        self.given, self.preset = given, preset
        self.folder: Path = given.folder / source.stem
        self.folder.mkdir(parents=True, exist_ok=True)
        self.source, self.fp32 = source, prepare(source, self.folder / "fp32.onnx", opset=13)
        height, width = self.fp32.contract.image_size or (None, None)
        self.preprocessing: Preprocessing = PRESETS[preset].for_input_size(height, width)
        images = open_images(given.data_path, given.label_path, classes=self.fp32.contract.classes)
        crops = crop_images(images, self.preprocessing, given.folder / "crops")
        parts = split(crops.ids, calibration_size=CALIBRATION, in_evaluation=False, certification_share=0.0, seed=SEED)
        self.calibration, self.evaluation = crops.subset(parts.calibration), crops.subset(parts.evaluation)
        self.list = self.folder / "calibration.txt"
        self.list.write_text("".join(f"{name}\n" for name in self.calibration.ids), encoding="utf-8")

    def images(self, crops: Crops, start: int, count: int) -> Floats:
        """Return float32 (count, 3, H, W)."""
        return self.preprocessing.normalize(np.stack([crops.array[at] for at in range(start, start + count)]))

    def tuned(self, name: str, *further: str) -> dict[str, Path]:
        """Return this tool's files by role; a finished run in the folder is taken as it is."""
        place = self.folder / name
        if not (place / "report.json").is_file():
            self.tune(place, further)
        models = json.loads((place / "report.json").read_text(encoding="utf-8"))["models"]
        return {model["role"]: place / model["file"] for model in models}

    def tune(self, place: Path, further: Sequence[str]) -> None:
        """Run this tool on the network."""
        command = [sys.executable, "-m", "quantize", "tune", "--input_model", self.source, "--preset", self.preset]
        command += ["--data_path", self.given.data_path, "--label_path", self.given.label_path]
        command += ["--calibration_list", self.list, "--output_model", place, "--overwrite", *further]
        done = subprocess.run([str(part) for part in command], check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{place}: quantize tune ended with exit code {done.returncode}")

    def static(self) -> Path:
        """Return what onnxruntime's own quantizer makes."""
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

        network, path = self, self.folder / "static.onnx"

        class Reader(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self.at = iter(range(len(network.calibration)))

            def get_next(self) -> dict[str, Floats] | None:
                at = next(self.at, None)
                images = None if at is None else network.images(network.calibration, at, 1)
                return None if images is None else {network.fp32.contract.input.name: images}

        quantize_static(
            self.fp32.path,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return path

    def nncf(self) -> Path:
        """Return what NNCF makes of the network for the OpenVINO runtime."""
        import nncf
        import openvino

        model = openvino.Core().read_model(self.fp32.path)
        model.reshape([1, *self.images(self.calibration, 0, 1).shape[1:]])
        images = [self.images(self.calibration, at, 1) for at in range(len(self.calibration))]
        made = nncf.quantize(model, nncf.Dataset(images), preset=nncf.QuantizationPreset.MIXED, subset_size=len(images))
        openvino.save_model(made, self.folder / "nncf.xml", compress_to_fp16=False)
        return self.folder / "nncf.xml"


def main() -> int:
    """Make every contender, judge it, time them all."""
    given = _arguments()
    networks = [(fetch("squeezenet1.0-12", given.folder / "squeezenet1.0-12.onnx").path, "caffe")]
    networks += [(Path(path), preset) for path, preset in given.network]
    logging.getLogger("nncf").setLevel(logging.ERROR)
    text = "\n\n".join([_machine(), *(_table(Network(path, preset, given), given) for path, preset in networks)])
    print(text)
    if given.output is not None:
        given.output.write_text(text + "\n", encoding="utf-8")
    return 0


def _table(network: Network, given: argparse.Namespace) -> str:
    peer = network.tuned("neural-compressor", "--engine", "inc", "--rewrites", "none")
    tuned_static = network.tuned("ort", "--engine", "ort", "--rewrites", "none")
    own = network.tuned("ours", "--engine", "native")
    files = {
        "fp32": network.fp32.path,
        "Neural Compressor, QLinear": peer["int8"],
        "onnxruntime quantize_static, QDQ": network.static(),
        "onnxruntime quantize_static, tuned, QDQ": tuned_static["qdq"],
        "NNCF on OpenVINO": network.nncf(),
        "ours, QLinear": own["int8"],
        "ours, QDQ": own["qdq"],
    }
    rows = {name: _judged(network, path, files["fp32"]) for name, path in files.items()}
    headings = ["top-1", "agreement", "ties", "KL"]
    for threads in dict.fromkeys([1, os.cpu_count() or 1]):
        headings.append(f"speed-up, {threads} thread{'s' * (threads > 1)}")
        for name, cell in _timed(network, files, threads, given.seconds).items():
            rows[name].append(cell)
    lines = [f"| {network.source.stem} | {' | '.join(headings)} |", "|---" * (len(headings) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines)


def _judged(network: Network, path: Path, fp32: Path) -> list[str]:
    crops = network.evaluation
    starts = range(0, len(crops), BATCH)
    batches = [network.images(crops, start, min(BATCH, len(crops) - start)) for start in starts]
    reference = np.concatenate([_opened(fp32, 1)(batch) for batch in batches]) if path != fp32 else None
    run = _opened(path, 1)
    scores = np.concatenate([run(batch) for batch in batches])
    evaluation = Evaluation(
        path.name, scores.shape[1], outcomes_of(crops.ids, scores, crops.labels), (), None, constant_output=False
    )
    if reference is None:
        return [f"{evaluation.top_k(1).expected:.2%}", "", f"{evaluation.tied_share:.2%}", ""]
    kind = score_kind(ModelArtifact.load(fp32).proto())
    near = fidelity_of(reference, scores, kind)
    return [
        f"{evaluation.top_k(1).expected:.2%}",
        f"{near.agreement:.2%}",
        f"{evaluation.tied_share:.2%}",
        f"{near.mean_kl:.4f}",
    ]


def _timed(network: Network, files: dict[str, Path], threads: int, seconds: float) -> dict[str, str]:
    images = [network.images(network.evaluation, at, 1) for at in range(TIMED)]

    def opening(path: Path) -> OpenSession:
        def opened() -> Run:
            run = _opened(path, threads)
            return lambda number: run(images[number % TIMED])

        return opened

    limits = {"iteration": 200, "precision": 0.01, "max_seconds": seconds, "control": False}
    plan = Plan.model_validate({"models": files, "baseline": "fp32", "threads": threads, **limits})
    enough = partial(precise_enough, contestants=plan.contestants(), plan=plan)
    blocks, _ = interleave({name: opening(path) for name, path in files.items()}, plan, enough=enough)
    cells = {}
    for name in files:
        milliseconds = float(np.exp(np.median(list(round_levels(blocks, name).values())))) / 1e6
        gain = speedup(paired_log_ratios(blocks, "fp32", name), baseline="fp32", candidate=name)
        cells[name] = f"{_ratio(gain) if gain is not None and name != 'fp32' else ''}{milliseconds:.2f} ms"
    return cells


def _ratio(gain: Speedup) -> str:
    interval = "" if gain.low is None or gain.high is None else f" [{gain.low:.2f}, {gain.high:.2f}]"
    return f"{gain.ratio:.2f}x{interval}, "


def _opened(path: Path, threads: int) -> Scores:
    """Return what runs a model's file on float32 (N, 3, H, W) and gives float32 (N, classes)."""
    if path.suffix == ".onnx":
        session = open_session(path, threads=threads)
        name = session.get_inputs()[0].name
        return lambda images: session.run(None, {name: images})[0].reshape(len(images), -1)
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()

    def one_by_one(images: Floats) -> Floats:
        if len(images) == 1:  # timed: nothing is copied
            outputs = request.infer([images], share_inputs=True, share_outputs=True)
            return cast(Floats, outputs[0].reshape(1, -1))
        scores = [request.infer([images[at : at + 1]])[0].reshape(1, -1) for at in range(len(images))]
        return np.asarray(np.concatenate(scores), np.float32)

    return one_by_one


def _machine() -> str:
    plan = Plan.model_validate({"models": {"none": Path("none")}})
    machine = read_environment(plan)
    instructions = ", ".join(machine.isa_flags or ()) or "no int8 instructions"
    names = ("onnxruntime", "neural-compressor", "openvino", "nncf")
    return (
        f"{machine.cpu_model}, {machine.usable_cores} cores, {instructions}; "
        + ", ".join(f"{name} {version(name)}" for name in names)
        + f". {CALIBRATION} images calibrate, the others judge; the median of paired ratios to fp32 with its 95 % "
        "interval, one image at a time."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--label_path", type=Path, required=True)
    parser.add_argument("--network", nargs=2, action="append", default=[], metavar=("FILE", "PRESET"))
    parser.add_argument("--seconds", type=float, default=60, help="longest time of one measurement")
    parser.add_argument("--folder", type=Path, default=Path("runs/peers"))
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
