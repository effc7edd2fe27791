"""The same labelled images in every layout that ImageNet comes in: the same crops, the same accuracy, nothing unpacked.

    python benchmarks/layouts.py MODEL --data_path IMAGES --label_path LABELS.txt [--preset caffe]

IMAGES is a flat folder. The layouts are written to a temporary folder, measured and removed; what the measurements
leave on disk is searched for image files. The table is printed. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import quantize
from quantize.commands.data_check import check_images
from quantize.report.wording import percent
from tests.data.layouts import Layouts

_LAYOUTS: dict[str, Callable[[Layouts], tuple[Path, Path | None]]] = {
    "flat folder, label file": lambda layouts: (layouts.flat(), layouts.label_file()),
    "class folders": lambda layouts: (layouts.class_folders(), None),
    "val tar, devkit": lambda layouts: (layouts.val_tar(), layouts.devkit()),
    "Parquet": lambda layouts: (layouts.parquet(rows_per_group=100), None),
    "Arrow": lambda layouts: (layouts.arrow("stream", rows_per_batch=100), None),
    "WebDataset": lambda layouts: (layouts.webdataset(), None),
}
_COLUMNS = (
    "layout",
    "images",
    "fingerprint of crops and labels",
    "top-1",
    "top-5",
    "data check",
    "image files left",
    "s",
)


def _files(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


def _is_image(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith((b"\xff\xd8\xff", b"\x89PNG"))


def row(name: str, layouts: Layouts, model: Path, preset: str | None, written: Path) -> tuple[str, ...]:
    """Return the table's row of one layout; ``written`` is where everything goes that is written meanwhile."""
    data, labels = _LAYOUTS[name](layouts)
    os.environ["QUANTIZE_CACHE"] = str(written / "cache" / name.replace(" ", "_"))
    before = _files(layouts.root, written)
    begin = time.monotonic()
    settings: dict[str, Any] = {"label_path": labels, "preset": preset}
    given = {name: value for name, value in settings.items() if value is not None}
    report = quantize.benchmark(model, mode="accuracy", data_path=data, **given)
    checked = check_images(data, labels)
    accuracy = report.models[-1].accuracy
    assert accuracy is not None
    evaluation = accuracy.evaluation
    assert evaluation.top1 is not None
    assert evaluation.top5 is not None
    return (
        name,
        str(evaluation.n),
        report.data_fingerprint[:16],
        percent(evaluation.top1.expected),
        percent(evaluation.top5.expected),
        "sound" if checked.sound else "NOT sound",
        str(sum(map(_is_image, _files(layouts.root, written) - before))),
        f"{time.monotonic() - begin:.0f}",
    )


def main() -> int:
    """Write the layouts, measure each, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--label_path", type=Path, required=True)
    parser.add_argument("--preset")
    given = parser.parse_args()
    lines = (line.rsplit(None, 1) for line in given.label_path.read_text().splitlines())
    images = {name: ((given.data_path / name).read_bytes(), int(label)) for name, label in lines}
    model = given.model.resolve()
    with tempfile.TemporaryDirectory(prefix="layouts-") as folder:
        root, written = Path(folder, "data"), Path(folder, "written")
        root.mkdir()
        (written / "tmp").mkdir(parents=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(written / "tmp")
        os.chdir(written)
        rows = [row(name, Layouts(root, images), model, given.preset, written) for name in _LAYOUTS]
    print("| " + " | ".join(_COLUMNS) + " |\n" + "|---" * len(_COLUMNS) + "|")
    for cells in rows:
        print("| " + " | ".join(cells) + " |")
    same = len({cells[1:-1] for cells in rows}) == 1 and rows[0][5:7] == ("sound", "0")
    print("\nthe same in every layout" if same else "\nNOT the same in every layout")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
