"""Whether models answer the same in plain sessions, which may saturate on this CPU, and in exact ones.

    python benchmarks/exact_and_plain.py INT8.onnx … --data_path IMAGES --label_path LABELS.txt [--preset caffe]

Models made with `--target avx2`, `arm64` or `any` must, on every CPU; exit code 1 where a top-1 differs. The hash is
over all answers, to be compared between machines. `benchmarks/held_to_avx2` runs it on AVX2 kernels on any x86-64.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from quantize.config import load_config
from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.evaluation.inference import scores_of
from quantize.formats.exact import open_exact_session
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.models.artifact import ModelArtifact
from quantize.models.session import open_session
from quantize.prediction.preprocessing import model_preprocessing
from quantize.report.wording import percent


def answers(session: onnxruntime.InferenceSession, model: ModelArtifact, batches: Batches) -> npt.NDArray[np.int64]:
    """Return int64 (images,), the class of every image."""
    classes = [scores_of(session, model.contract, batch.images).argmax(axis=1) for batch in batches]
    return np.asarray(np.concatenate(classes), np.int64)


def main() -> int:
    """Compare each model's answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="INT8.onnx")
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--label_path", type=Path)
    parser.add_argument("--preset")
    given = parser.parse_args()
    asked = load_config(None, {"preprocessing.preset": given.preset}).preprocessing
    code = 0
    for path in given.models:
        model = ModelArtifact.load(path)
        preprocessing, _ = model_preprocessing(model, asked)
        listed = open_images(given.data_path, given.label_path, classes=model.contract.classes)
        with tempfile.TemporaryDirectory() as folder:
            batches = Batches(crop_images(listed, preprocessing, Path(folder)), preprocessing, 16)
            plain = answers(open_session(path, threads=1), model, batches)
            exact = answers(open_exact_session(path, threads=1), model, batches)
            labels = batches.crops.labels
        right = f", top-1 {percent(float((plain == labels).mean()))}" if labels is not None else ""
        same = int((plain == exact).sum())
        code |= same != len(plain)
        print(
            f"{path.name} on {this_cpu_class()}: the same top-1 in plain and exact sessions on {same} of {len(plain)} "
            f"images{right}; answers {hashlib.sha256(plain.tobytes()).hexdigest()[:12]}"
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
