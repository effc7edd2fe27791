"""Do a run's models answer the same on another runtime? Run by `make test-portable`, not by pytest.

Every model of a run sees 50 images, preprocessed once, on onnxruntime's CPU provider and on onnxruntime-web's wasm in
Node. Where the CPU provider's two best scores are nearer than one step of int8, either answer counts as the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.preprocessing import Preprocessing
from quantize.evaluation.inference import scores_of
from quantize.formats.exact import open_exact_session
from quantize.models.artifact import ModelArtifact
from quantize.report.storage import read_report

_ROOT = Path(__file__).resolve().parent.parent.parent
_NEAR = 1 / 256
_LEAST = 0.95


def main() -> int:
    """Compare the runtimes and return 0 where they agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a folder that `quantize tune` wrote")
    parser.add_argument("--modules", type=Path, required=True, help="where npm put node_modules")
    parser.add_argument("--images", type=int, default=50)
    asked = parser.parse_args()
    report = read_report(asked.run / "report.json")
    shared = Path(os.environ.get("QUANTIZE_SHARED", _ROOT.parent / "shared")) / "imagenet"
    listed = open_images(shared / "val", shared / "val.txt", classes=None)
    preprocessing = Preprocessing.model_validate(report.preprocessing.model_dump())
    failed = 0
    with tempfile.TemporaryDirectory(prefix="quantize-portable-") as scratch:
        few = listed.subset(range(0, len(listed), max(1, len(listed) // asked.images))[: asked.images])
        crops = crop_images(few, preprocessing, Path(scratch) / "crops", workers=1)
        images = preprocessing.normalize(crops.array[0 : len(crops)])
        place = Path(scratch) / "images.bin"
        place.write_bytes(images.astype("<f4").tobytes())
        for section in report.models:
            model = ModelArtifact.load(asked.run / section.file)
            scores = scores_of(open_exact_session(model.path), model.contract, images)
            other = _elsewhere(asked.modules, model, place, images)
            own = scores.argmax(axis=1)
            same = own == other
            rows = np.arange(len(own))
            near = ~same & (scores.max(axis=1) - scores[rows, other] <= _NEAR)
            share = float((same | near).mean())
            failed += share < _LEAST
            verdict = "ok" if share >= _LEAST else "NO"
            sys.stdout.write(
                f"{model.path.name}: wasm gives the CPU provider's top-1 on {int(same.sum())} of {len(own)} images"
                f" ({int(near.sum())} more are ties); at least {_LEAST:.0%} needed: {verdict}\n"
            )
    return int(failed > 0)


def _elsewhere(modules: Path, model: ModelArtifact, place: Path, images: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return int64 (N,), the top-1 that onnxruntime-web gives."""
    count, _, height, width = images.shape
    script = Path(__file__).with_name("run.mjs")
    done = subprocess.run(
        ["node", script, modules.absolute(), model.path, place, str(count), str(height), str(width)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return np.array(json.loads(done.stdout.splitlines()[-1]), dtype=np.int64)


if __name__ == "__main__":
    sys.exit(main())
