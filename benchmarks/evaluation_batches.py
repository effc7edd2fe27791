"""What an image of an evaluation takes, by the images of a batch: processor time, and by the clock, of all cores.

    python benchmarks/evaluation_batches.py MODEL PRESET --data_path VAL --label_path VAL.txt [--images 2000]

The images are those of the set under as many names as it takes. Batch sizes take turns, so that what else the machine
does falls on all of them.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from full_set import make
from prepared import preprocessing_of

from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.evaluation.evaluate import evaluate
from quantize.models.artifact import ModelArtifact
from quantize.processes.pool import available_cpus

_SIZES = (1, 2, 4, 8, 16)
_TURNS = 3


def main() -> None:
    """Evaluate with each batch size in turns, and print the least of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("preset")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--label_path", type=Path, required=True)
    given = parser.parse_args()
    model = ModelArtifact.load(given.model)
    contract = model.contract
    preprocessing = preprocessing_of(contract, given.preset)
    least: dict[int, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data, labels = make(Path(folder), given.images, given.data_path, given.label_path)
        crops = crop_images(open_images(data, labels, classes=contract.classes), preprocessing, Path(folder) / "crops")
        for _ in range(_TURNS):
            for size in _SIZES:
                spent, began = _processor(), time.perf_counter()
                evaluate(model, Batches(crops, preprocessing, size), threads=available_cpus())
                took = (_processor() - spent, time.perf_counter() - began)
                least[size] = min(least.get(size, took), took)
    for size, (processor, clock) in least.items():
        each = 1e3 / given.images
        print(f"{size:>3} a batch: {processor * each:.2f} ms of processor an image, {clock * each:.2f} ms by the clock")


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
