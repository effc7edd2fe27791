"""How far one machine goes: images a second of each stage beside its limit, memory and disk, for more and more images.

    python benchmarks/scale.py run MODEL PRESET --images 500 5000 50000 --work FOLDER [--engine native] [--label_free]
    python benchmarks/scale.py evaluate MODEL PRESET --images 500 --work FOLDER     decoding and fp32 (`evaluated.py`)
    python benchmarks/scale.py open MODEL …     what opening a model takes (`opened.py`)
    python benchmarks/scale.py write            draws docs/scale.md from what these have kept (`scale_page.py`)

`run` tunes the model (`tuned.py`); `--label_free` is for networks with made weights (`make_networks.py`), which `tune`
refuses beside labels. One JSON file a measurement is kept in `benchmarks/results/scale`, in a folder for its CPU, with
what other processes took of the cores: its times count only where that is little.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from evaluated import Evaluated, evaluated
from opened import Opened, opened
from scale_page import document, evaluations
from tuned import Tuned, tuned

_RESULTS = Path(__file__).parent / "results" / "scale"
_DOCUMENT = Path(__file__).parents[1] / "docs" / "scale.md"
_SHARED = Path(os.environ.get("QUANTIZE_SHARED", "../shared")) / "imagenet"


def main() -> None:
    """Run, or write the document."""
    given = _parser().parse_args()
    if given.command == "open":
        for model in given.models:
            keep(seen := opened(model), _RESULTS)
            print(seen, flush=True)
        return
    if given.command == "evaluate":
        for images in given.images:
            done = evaluated(given.model, given.preset, images, given.work / given.model.stem, _SHARED)
            keep(done, _RESULTS)
            shutil.rmtree(given.work / given.model.stem)
            print(done, *evaluations([done])[-1:], sep="\n", flush=True)
        return
    if given.command == "run":
        asked = (given.engine, given.work, _SHARED, given.max_seconds)
        for images in given.images:
            kept = tuned(given.model, given.preset, images, *asked, label_free=given.label_free)
            keep(kept, _RESULTS)
            print(f"{kept.model}, {images:,} images: {kept.peak_bytes / 1e6:.0f} MB, {kept.inferences}", flush=True)
        return
    _DOCUMENT.write_text(document(_RESULTS), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run, evaluation = commands.add_parser("run"), commands.add_parser("evaluate")
    for one in (run, evaluation):
        one.add_argument("model", type=Path)
        one.add_argument("preset")
        one.add_argument("--images", type=int, nargs="+", default=[500])
        one.add_argument("--work", type=Path, required=True)
    run.add_argument("--engine", default="native")
    run.add_argument("--max_seconds", type=int, default=30)
    run.add_argument("--label_free", action="store_true", help="no label list and no criterion: for made weights")
    opening = commands.add_parser("open")
    opening.add_argument("models", type=Path, nargs="+")
    commands.add_parser("write")
    return parser


def keep(done: Tuned | Opened | Evaluated, results: Path) -> Path:
    """Write what was measured into the folder of its CPU, and return the file."""
    stem, cpu = Path(done.model).stem, results / done.cpu.folder
    if isinstance(done, Tuned):
        place = cpu / f"{stem}-{done.engine}-{done.images}{'-label-free' if done.label_free else ''}.json"
    elif isinstance(done, Evaluated):
        place = cpu / "evaluated" / f"{stem}-{done.images}.json"
    else:
        place = cpu / "opened" / f"{stem}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(asdict(done), indent=1) + "\n", encoding="utf-8")
    return place


if __name__ == "__main__":
    main()
