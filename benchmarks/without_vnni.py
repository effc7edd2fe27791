"""What an int8 model answers on a CPU without VNNI, or on arm64: qemu's user mode stands in for the other CPU.

    bash scripts/haswell_python.sh build/haswell        # or scripts/arm64_python.sh build/arm64
    python benchmarks/without_vnni.py INT8.onnx --data_path IMAGES --label_path LABELS.txt [--images 100]

Models made with `--target avx2`, `arm64` or `any` must answer the same on both; exit code 1 where a top-1 differs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from quantize.config import load_config
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.evaluation.inference import scores_of
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact
from quantize.models.session import open_session
from quantize.prediction.preprocessing import model_preprocessing
from quantize.report.wording import percent

_ROOT = Path(__file__).resolve().parent.parent


def scored(model: Path, images: Path, scores: Path) -> None:
    """Run a model on images in a file, and write its scores, (N, classes)."""
    artifact = ModelArtifact.load(model)
    session = open_session(model, threads=1)
    np.save(scores, np.concatenate([scores_of(session, artifact.contract, image[None]) for image in np.load(images)]))


def main() -> int:
    """Run here and on the other CPU, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data_path", type=Path)
    parser.add_argument("--label_path", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--preset")
    parser.add_argument("--python", type=Path, default=_ROOT / "build/haswell/bin/python", help="runs on the other CPU")
    parser.add_argument("--scores", type=Path, nargs=2, metavar=("IMAGES", "SCORES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.scores:
        scored(given.model, *given.scores)
        return 0
    model = ModelArtifact.load(given.model)
    asked = load_config(None, {"preprocessing.preset": given.preset}).preprocessing
    preprocessing, _ = model_preprocessing(model, asked)
    listed = open_images(given.data_path, given.label_path, classes=model.contract.classes)
    step = max(1, len(listed) // given.images)
    chosen = listed.subset(range(0, len(listed), step)[: given.images])
    with tempfile.TemporaryDirectory() as folder:
        crops = crop_images(chosen, preprocessing, Path(folder))
        images, here, there = (Path(folder, f"{name}.npy") for name in ("images", "here", "there"))
        np.save(images, preprocessing.normalize(crops.array[0 : len(crops)]))
        scored(given.model, images, here)
        command = [given.python, __file__, given.model, "--scores", images, there]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
        if run.returncode:
            print(run.stderr[-2000:], file=sys.stderr)
            return 2
        own, other = np.load(here), np.load(there)
    same = own.argmax(axis=1) == other.argmax(axis=1)
    print(f"{given.model.name}: {len(saturating_layers(model.proto()))} layers can saturate without VNNI")
    print(f"the same top-1 here and there: {percent(float(same.mean()), 1)} of {len(own)} images")
    print(f"largest difference of a score: {np.abs(own - other).max():.2g}")
    if crops.labels is not None:
        right = [percent(float((scores.argmax(axis=1) == crops.labels).mean()), 1) for scores in (own, other)]
        print(f"top-1 here {right[0]}, there {right[1]}")
    return 0 if same.all() else 1


if __name__ == "__main__":
    sys.exit(main())
