"""What the rewrites gain on one model: each alone, all together, in both formats, and from crop or photograph.

    quantize tune --input_model MODEL.onnx --preset caffe --data_path VAL --label_path VAL.txt --rewrites none \
        --output_model PLAIN
    python benchmarks/rewrites.py PLAIN/MODEL-12-int8.onnx --fp32 PLAIN/work/fp32.onnx --preset caffe \
        --data_path VAL --label_path VAL.txt [--seconds 40] [--output TABLES.md]

The first command writes a quantized model without rewrites; any other without them, in any format, serves as well. All
ratios are paired, in one process, with the models in alternating blocks; one thread and all cores. With too few seconds
for an interval a rewrite that moves scores is left out: it is kept only where it is shown not to be slower.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from PIL import Image

from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.scores import ScoreStore
from quantize.formats import to_qdq, to_qlinear
from quantize.measurement.timing.blocks import paired_log_ratios, round_levels
from quantize.measurement.timing.interleave import Run, interleave
from quantize.measurement.timing.measure import measure, precise_enough
from quantize.measurement.timing.measurement import latency, speedups
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.speedup import speedup
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.session import open_session
from quantize.rewrites import (
    RatioInterval,
    RewriteRecord,
    Rewritten,
    check_input_contract,
    contract_input,
    fold_nearest,
    rewrite,
    select_rewrites,
)

CHECKED, TIMED, BATCH, HIGHEST = 96, 32, 16, 5


def main() -> int:
    """Rewrite, measure, print."""
    given = _arguments()
    fp32, int8 = ModelArtifact.load(given.fp32), ModelArtifact.load(given.int8)
    height, width = (size if isinstance(size, int) else None for size in fp32.contract.input.shape[2:4])
    preprocessing = PRESETS[given.preset].for_input_size(height, width)
    with tempfile.TemporaryDirectory(prefix="rewrites-") as scratch:
        images = open_images(given.data_path, given.label_path, classes=fp32.contract.classes)
        crops = crop_images(images, preprocessing, Path(scratch) / "crops")
        comparison = Comparison(Path(scratch), preprocessing, crops, int8.opset, given.seconds)
        text = "\n\n".join(
            [
                f"# Rewrites on {given.int8.name}",
                *comparison.formats(fp32, int8.proto()),
                *comparison.contracts(fp32, int8.proto(), [images.read(number) for number in range(TIMED)]),
            ]
        )
    print(text)
    if given.output is not None:
        given.output.write_text(text + "\n", encoding="utf-8")
    return 0


class Comparison:
    """Rewrites and measures one model in a scratch folder."""

    def __init__(self, folder: Path, preprocessing: Preprocessing, crops: Crops, opset: int, seconds: float) -> None:
        self.folder, self.preprocessing, self.crops, self.seconds = folder, preprocessing, crops, seconds
        self.opset = max(12, opset)
        self.pixels = np.asarray(crops.array[: max(CHECKED, TIMED)])

    def formats(self, fp32: ModelArtifact, int8: ModelProto) -> list[str]:
        """Return the tables of what each rewrite did, of speed, and of accuracy."""
        floats = self.preprocessing.normalize(self.pixels)
        done = self.rewritten(int8, floats)
        files = {
            "fp32": fp32,
            "QLinear": self.saved("ql", to_qlinear(int8, opset=self.opset)),
            "QLinear, rewritten": self.saved("ql-rewritten", done.qlinear),
            "QDQ": self.saved("qdq", to_qdq(int8)),
            "QDQ, rewritten": self.saved("qdq-rewritten", done.qdq),
        }
        return [
            "## Each rewrite",
            _records(done.records),
            "## Speed",
            *(self.speed(files, floats, threads) for threads in dict.fromkeys([1, os.cpu_count() or 1])),
            "## Accuracy",
            self.accuracy(files),
        ]

    def contracts(self, fp32: ModelArtifact, int8: ModelProto, photographs: Sequence[bytes]) -> list[str]:
        """Return the table of raw pixels against the float contract, from the decoded crop to the five best."""
        floats = self.preprocessing.normalize(self.pixels)
        runs = {"floats by look-up": self.run(self.rewritten(int8, floats, timed=False).qlinear, _lookup)}
        moves = []
        for contract in ("uint8-nchw", "uint8-nhwc"):
            few, source = self.pixels[:TIMED], fp32.proto()
            folded = fold_nearest(int8, contract, self.preprocessing, few, fp32=source, references=(source, None))
            moved = check_input_contract(int8, folded, contract, self.preprocessing, self.pixels[:CHECKED])
            moves.append(f"{contract} moves the scores by {moved.relative:.3f} of their root mean square")
            taken = contract_input(contract, self.preprocessing, self.pixels)
            done = self.rewritten(folded, taken, timed=False)
            runs[contract] = self.run(done.qlinear, partial(_contract, contract))
        decode = _milliseconds(photographs, lambda raw: self.preprocessing.crop_image(_opened(raw)))
        rows = ["| contract | ms | times faster | from the photograph |", "|---|---|---|---|"]
        first = next(iter(runs))
        plan = self.plan(dict.fromkeys(runs, fp32.path), first, 1)
        blocks, _ = interleave(runs, plan, enough=partial(precise_enough, contestants=plan.contestants(), plan=plan))
        times = {name: float(np.exp(np.median(list(round_levels(blocks, name).values())))) / 1e6 for name in runs}
        for name in runs:
            gain = speedup(paired_log_ratios(blocks, first, name), baseline=first, candidate=name)
            ratio = "1" if name == first or gain is None else _ratio(gain.ratio, gain.low, gain.high)
            whole = (decode + times[first]) / (decode + times[name])
            rows.append(f"| {name} | {times[name]:.3f} | {ratio} | {whole:.3f} |")
        note = f"Decoding and resizing takes {decode:.2f} ms. " + "; ".join(moves) + "."
        return ["## From the crop to the five best classes, one thread", "\n".join(rows), note]

    def rewritten(self, model: ModelProto, taken: NDArray[np.generic], *, timed: bool = True) -> Rewritten:
        """Return a model with the default rewrites; ``timed`` leaves out what does not pay here."""
        batches = [taken[start : start + BATCH] for start in range(0, CHECKED, BATCH)]
        faster = partial(self.faster, taken) if timed else None
        chosen = [one for one in select_rewrites("default") if timed or not one.only_measured]
        return rewrite(model, chosen, images=batches, opset=self.opset, faster=faster)

    def faster(self, taken: NDArray[np.generic], before: ModelProto, after: ModelProto, _: bool) -> RatioInterval:  # noqa: FBT001 - see Faster
        """Return the paired ratio of two models on one thread."""
        models = {name: self.saved(name, model).path for name, model in (("before", before), ("after", after))}
        plan = self.plan(models, "before", 1).model_copy(update={"max_seconds": self.seconds / 4})
        (gain,) = speedups(measure(plan, {name: _single(taken) for name in models}))
        return RatioInterval(gain.low or 0.0, gain.ratio, gain.high or float("inf"))

    def speed(self, files: dict[str, ModelArtifact], floats: NDArray[np.float32], threads: int) -> str:
        """Return the table of one number of threads."""
        plan = self.plan({name: file.path for name, file in files.items()}, "QLinear", threads)
        measurement = measure(plan, {name: _single(floats) for name in files})
        rows = [f"| {threads} thread{'s' * (threads > 1)} | ms | over int8 without | over fp32 |", "|---|---|---|---|"]
        ratios = {gain.candidate: gain for gain in speedups(measurement)}
        for name in files:
            over = ratios.get(name)
            fp32 = speedup(paired_log_ratios(measurement.blocks, "fp32", name), baseline="fp32", candidate=name)
            rows.append(
                f"| {name} | {latency(measurement, name).quiet_ns / 1e6:.3f} "
                f"| {_ratio(over.ratio, over.low, over.high) if over else '1'} "
                f"| {_ratio(fp32.ratio, fp32.low, fp32.high) if fp32 and name != 'fp32' else '1'} |"
            )
        return "\n".join(rows)

    def accuracy(self, files: dict[str, ModelArtifact]) -> str:
        """Return the table of top-1, what of fp32's is lost, agreement with fp32 and ties on all images."""
        batches, store = Batches(self.crops, self.preprocessing, BATCH), self.folder / "scores.f32"
        evaluate(files["fp32"], batches, threads=os.cpu_count() or 1, store=store)
        baseline = ScoreStore.open(store)
        head = "top-1 | lost of fp32's | agreement with fp32 | moved by the rewrites | tied"
        rows = [f"| {len(self.crops)} images | {head} |", "|---|---|---|---|---|---|"]
        agreements: dict[str, float] = {}
        reference = 0.0
        for name, file in files.items():
            evaluation = evaluate(file, batches, threads=os.cpu_count() or 1, baseline=baseline)
            assert evaluation.fidelity is not None
            top1, agreements[name] = evaluation.top_k(1).expected, evaluation.fidelity.agreement
            reference = reference or top1
            plain = agreements.get(name.removesuffix(", rewritten"))
            moved = f"{(agreements[name] - plain) * 100:+.2f} points" if name.endswith("rewritten") and plain else ""
            rows.append(
                f"| {name} | {top1:.2%} | {'' if name == 'fp32' else format(1 - top1 / reference, '.2%')} "
                f"| {agreements[name]:.2%} | {moved} | {evaluation.tied_share:.2%} |"
            )
        return "\n".join(rows)

    def plan(self, models: dict[str, Path], baseline: str, threads: int) -> Plan:
        """Return the plan of one measurement."""
        limits = {"iteration": 100, "precision": 0.01, "max_seconds": self.seconds, "control": False}
        return Plan.model_validate({"models": models, "baseline": baseline, "threads": threads, **limits})

    def saved(self, name: str, model: ModelProto) -> ModelArtifact:
        """Write a model into the scratch folder."""
        return save_model(model, self.folder / f"{name}.onnx")

    def run(
        self, model: ModelProto, prepare: Callable[[Preprocessing, NDArray[np.uint8]], NDArray[np.generic]]
    ) -> Callable[[], Run]:
        """Return what opens a session and runs it from the crop with a number to its five best classes."""

        def opened() -> Run:
            session = open_session(model.SerializeToString())
            name, pixels, preprocessing = session.get_inputs()[0].name, self.pixels, self.preprocessing
            run, count = session.run, TIMED

            def once(number: int) -> object:
                crop = pixels[number % count]
                scores = run(None, {name: prepare(preprocessing, crop)})[0].ravel()
                return np.argpartition(scores, -HIGHEST)[-HIGHEST:]

            return once

        return opened


_TABLES: dict[str, NDArray[np.float32]] = {}


def _lookup(preprocessing: Preprocessing, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Normalize one crop (H, W, 3) by a table a channel: the fastest way in numpy, to the bit as ``normalize``."""
    table = _TABLES.get(preprocessing.fingerprint)
    if table is None:
        ramp = np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1).repeat(3, axis=3)
        table = _TABLES[preprocessing.fingerprint] = preprocessing.normalize(ramp)[0, :, 0, :]
    order = (0, 1, 2) if preprocessing.channel_order == "RGB" else (2, 1, 0)
    made = np.empty((1, 3, *crop.shape[:2]), np.float32)
    for number, channel in enumerate(order):
        np.take(table[number], crop[:, :, channel], out=made[0, number], mode="clip")
    return made


def _contract(contract: str, preprocessing: Preprocessing, crop: NDArray[np.uint8]) -> NDArray[np.generic]:
    del preprocessing
    return crop[None] if contract == "uint8-nhwc" else np.ascontiguousarray(crop.transpose(2, 0, 1))[None]


def _opened(raw: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(raw))
    image.load()
    return image


def _milliseconds(items: Sequence[bytes], work: Callable[[bytes], object]) -> float:
    durations = []
    for item in items:
        before = perf_counter_ns()
        work(item)
        durations.append(perf_counter_ns() - before)
    return float(np.median(durations)) / 1e6


def _single(taken: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    return [taken[number : number + 1] for number in range(TIMED)]


def _records(records: Sequence[RewriteRecord]) -> str:
    rows = ["| rewrite | kept | nodes | QLinear | QDQ | scores moved | images tied |", "|---|---|---|---|---|---|---|"]
    for record in records:
        speed = {name: _ratio(ratio.ratio, ratio.low, ratio.high) for name, ratio in record.speed}
        movement = record.movement
        rows.append(
            f"| {record.name} | {'yes' if record.kept else record.reason} | {len(record.nodes)} "
            f"| {speed.get('qlinear', '')} | {speed.get('qdq', '')} "
            f"| {'' if movement is None else format(movement.relative, '.2g')} "
            f"| {'' if movement is None else f'{movement.ties_before} -> {movement.ties_after} of {movement.images}'} |"
        )
    return "\n".join(rows)


def _ratio(ratio: float, low: float | None, high: float | None) -> str:
    return f"{ratio:.3f}" if low is None or high is None else f"{ratio:.3f} ({low:.3f} to {high:.3f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("int8", type=Path)
    parser.add_argument("--fp32", type=Path, required=True)
    parser.add_argument("--preset", choices=sorted(PRESETS), required=True)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--label_path", type=Path)
    parser.add_argument("--seconds", type=float, default=40, help="longest time of one measurement")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
