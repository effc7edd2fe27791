"""Make a validation set of any size from a small one: every image under as many names as it takes.

    python benchmarks/full_set.py FOLDER --images 50000 [--data_path ../shared/imagenet/val] [--label_path …/val.txt]

FOLDER gets `val/ILSVRC2012_val_00000001.JPEG` and so on, and `val.txt` with a line `name label` for each. Each image is
copied once, and the other names are hard links to it: 50,000 names of 500 photographs take the disk of 500. What is
measured on such a set is time, memory and disk; its accuracy is that of the few images.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

_SHARED = Path(os.environ.get("QUANTIZE_SHARED", "../shared")) / "imagenet"


def main() -> None:
    """Make the set that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--data_path", type=Path, default=_SHARED / "val")
    parser.add_argument("--label_path", type=Path, default=_SHARED / "val.txt")
    given = parser.parse_args()
    make(given.folder, given.images, given.data_path, given.label_path)


def make(folder: Path, images: int, data: Path, labels: Path) -> tuple[Path, Path]:
    """Make a set and return its folder of images and its label file.

    Args:
        folder: Where to; what lies there under the same names is left as it is.
        images: How many names.
        data: The images to take, in one folder.
        labels: Lines `name label` that name them.
    """
    few = [line.split() for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()]
    place, listed = folder / "val", folder / "val.txt"
    place.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(images):
        name, label = few[number % len(few)]
        path, first = (place / f"ILSVRC2012_val_{at + 1:08d}.JPEG" for at in (number, number % len(few)))
        if not path.exists():
            if path == first:
                shutil.copyfile(data / name, path)
            else:
                path.hardlink_to(first)
        lines.append(f"{path.name} {label}\n")
    listed.write_text("".join(lines), encoding="utf-8")
    return place, listed


if __name__ == "__main__":
    main()
