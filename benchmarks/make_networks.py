"""Make the field's architectures with made weights, for speed and for how near int8 is to fp32; never for accuracy.

    python benchmarks/make_networks.py --data_path IMAGES --folder FOLDER [NAME …]

Without torch and without a registry: ``networks/`` has an architecture a file. Weights are random, set layer by layer
so that activations keep their spread on 64 of the images (preset ``imagenet``). A file that is there is not made again;
the images and the code are the same everywhere, the last digits of the weights are this CPU's.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from networks.registry import ARCHITECTURES, LARGE
from numpy.typing import NDArray

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.preprocessing import PRESETS
from quantize.files import replaced

COUNT = 64
_CLASSES = 1000
_NAMES = f"{', '.join(ARCHITECTURES)} (all of them by default), {', '.join(LARGE)} (by name only)"


def made(name: str, data: Path, folder: Path) -> Path:
    """Return the file of a network in a folder; it is made where it is missing.

    Args:
        name: One of ``ARCHITECTURES`` or ``LARGE``.
        data: Photographs, in any layout that quantize reads.
        folder: Holds the files, and the crops.
    """
    path = folder / f"{name}.onnx"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        architecture = {**ARCHITECTURES, **LARGE}[name]
        model = architecture.make(photographs(data, architecture.side, folder / "crops"))
        onnx.checker.check_model(model)
        with replaced(path) as temporary:
            onnx.save_model(model, temporary)
    return path


def photographs(data: Path, side: int, cache: Path) -> NDArray[np.float32]:
    """Return images that weights are set by, float32 (64, 3, side, side), from the flattest to the richest in contrast.

    Both ends are among them: what is made for mild images only lets an extreme one grow from layer to layer.
    """
    preprocessing = PRESETS["imagenet"].for_input_size(side, side)
    crops = crop_images(open_images(data, None, classes=_CLASSES), preprocessing, cache)
    order = np.argsort([crops.array[at].std() for at in range(len(crops))], kind="stable")
    places = order[np.linspace(0, len(crops) - 1, COUNT).astype(int)]
    return preprocessing.normalize(np.stack([crops.array[at] for at in places]))


def main() -> int:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NAME", help=_NAMES)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    if unknown := set(given.networks) - {*ARCHITECTURES, *LARGE}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {_NAMES}")
    for name in given.networks or ARCHITECTURES:
        begun = time.monotonic()
        path = made(name, given.data_path, given.folder)
        print(f"{path} {path.stat().st_size / 1e6:.1f} MB, {time.monotonic() - begun:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
