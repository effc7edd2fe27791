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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import quantize
from quantize.commands.data_check import check_images
from quantize.report.wording import percent
from tests.data.layouts import Layouts

_LAYOUTS: dict[str, Callable[[Layouts], tuple[Path, Path | None]]] = {
    "flat folder, label file": lambda it: (it.flat(), it.label_file()),
    "class folders": lambda it: (it.class_folders(), None),
    "val tar, devkit": lambda it: (it.val_tar(), it.devkit()),
    "Parquet": lambda it: (it.parquet(rows_per_group=100), None),
    "Arrow": lambda it: (it.arrow("stream", rows_per_batch=100), None),
    "WebDataset": lambda it: (it.webdataset(), None),
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
    given = {} if preset is None else {"preset": preset}
    report = quantize.measurement(model, mode="accuracy", data_path=data, label_path=labels, **given)  # type: ignore[arg-type]
    checked = check_images(data, labels)
    accuracy = report.models[-1].accuracy
    assert accuracy is not None
    found = accuracy.evaluation
    assert found.top1 is not None
    assert found.top5 is not None
    return (
        name,
        str(found.n),
        report.data_fingerprint[:16],
        percent(found.top1.expected),
        percent(found.top5.expected),
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
    for one in rows:
        print("| " + " | ".join(one) + " |")
    same = len({one[1:-1] for one in rows}) == 1 and rows[0][5:7] == ("sound", "0")
    print("\nthe same in every layout" if same else "\nNOT the same in every layout")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
