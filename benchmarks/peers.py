"""This tool's int8 models next to those of its peers, over real and made networks.

    pip install '.[inc,peers]'
    python benchmarks/peers.py --data_path VAL --label_path VAL.txt [--models FOLDER] [NETWORK …] \
        [--contenders NAME …] [--untimed] [--seconds 90] [--folder runs/peers]
    python benchmarks/peers.py --write

The networks are in ``contest/subjects.py``: table A has real weights (fetched, or in the folder of models), B made
ones.
The contenders are in ``contest/contenders.py``: Neural Compressor, onnxruntime's ``quantize_static``, NNCF on the
OpenVINO runtime, AMD Quark, ours. All calibrate on the same 100 images, each makes its model in a process of its own
within ten minutes, and 200 other images judge it. Then all models of a network are timed in alternating blocks in one
process, one image at a time: on one thread, then on all cores.

Every cell is a JSON file in ``benchmarks/results/peers``, by CPU, network and contender. What is there is not made or
measured again, unless ``--anew`` names its contender. ``--untimed`` makes and judges only, which other work on the
machine does not disturb. ``--write`` draws ``docs/networks.md`` from the cells.

AMD Quark needs torch and newer packages than Neural Compressor bears, so it has an environment of its own: install
``amd-quark`` and ``onnxruntime`` there, and name its Python by the variable QUARK_PYTHON.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from contest.bench import Bench
from contest.cells import Cells
from contest.contenders import CONTENDERS, Made, forget, make
from contest.judging import judge
from contest.page import page
from contest.subjects import SUBJECTS, Places
from contest.timing import sitting

from quantize.provenance import sha256_file

_ROOT = Path(__file__).parents[1]
RESULTS = _ROOT / "benchmarks" / "results" / "peers"
PAGE = _ROOT / "docs" / "networks.md"


def drawn() -> str:
    """Return the page that the committed cells give."""
    return page([Cells(RESULTS, path.name) for path in sorted(RESULTS.glob("*")) if path.is_dir()])


def main() -> int:
    """Fill the cells that are missing, or draw the page."""
    given = _arguments()
    if given.write:
        PAGE.write_text(drawn(), encoding="utf-8")
        return 0
    places = Places(*(place.resolve() for place in (given.data_path, given.label_path, given.models, given.folder)))
    cells = Cells(given.results)
    for name in given.networks or SUBJECTS:
        try:
            _filled(name, places, cells, given)
        except FileNotFoundError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
    return 0


def _filled(name: str, places: Places, cells: Cells, given: argparse.Namespace) -> None:
    contenders = [each for each in CONTENDERS if each in given.contenders]
    for each in given.anew:
        cells.forget(name, each)
    threads = [] if given.untimed else list(dict.fromkeys([1, os.cpu_count() or 1]))
    all_near = all(cells.near(name, each) for each in ("fp32", *contenders))
    untimed = [count for count in threads if not _complete(name, contenders, count, cells)]
    if all_near and not untimed:
        return
    bench = Bench.of(name, SUBJECTS[name], places)
    for each in given.anew:
        forget(each, bench)
    files = {"fp32": bench.fp32.path}
    if cells.near(name, "fp32") is None:
        cells.write(judge("fp32", Made(bench.fp32.path, 0.0), bench))
    for each in contenders:
        near = cells.near(name, each)
        if near is not None and (near.file_sha256 is None or not untimed):
            continue
        print(f"{name}: {each}", flush=True)
        made = make(each, bench)
        if near is None or made.file is None or near.file_sha256 != sha256_file(made.file):
            near = judge(each, made, bench)
            cells.write(near)
        print(f"  {near.reason or ''} {near.decibel} dB, {near.agreement}, {near.seconds} s", flush=True)
        if made.file is not None:
            files[each] = made.file
    for count in untimed:
        for cell in sitting(files, bench, count, given.seconds):
            cells.write(cell)


def _complete(name: str, contenders: list[str], threads: int, cells: Cells) -> bool:
    """Return whether all models that there are have been timed."""
    known = {each: cells.near(name, each) for each in contenders}
    there = [each for each, near in known.items() if near is None or near.file_sha256 is not None]
    return all(cells.timed(name, each, threads) is not None for each in ("fp32", *there))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(SUBJECTS)} (default: all)")
    parser.add_argument("--data_path", type=Path)
    parser.add_argument("--label_path", type=Path)
    parser.add_argument(
        "--models", type=Path, default=Path("../shared/models"), help="real models that are not fetched"
    )
    parser.add_argument("--contenders", nargs="+", choices=tuple(CONTENDERS), default=tuple(CONTENDERS))
    parser.add_argument("--anew", nargs="+", choices=tuple(CONTENDERS), default=(), help="make these once more")
    parser.add_argument("--untimed", action="store_true")
    parser.add_argument("--seconds", type=float, default=90, help="longest time of one measurement")
    parser.add_argument("--folder", type=Path, default=Path("runs/peers"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--write", action="store_true", help="draw docs/networks.md from the cells")
    given = parser.parse_args()
    if unknown := set(given.networks) - set(SUBJECTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(SUBJECTS)}")
    if not given.write and (given.data_path is None or given.label_path is None):
        parser.error("--data_path and --label_path are needed")
    return given


if __name__ == "__main__":
    sys.exit(main())
