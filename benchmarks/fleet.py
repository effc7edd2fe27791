"""A fleet of CPUs with one file: what a model made for target ``any`` costs on this CPU, in speed and agreement.

    python benchmarks/fleet.py --data_path VAL --label_path VAL.txt [--models FOLDER] [--folder runs/fleet]
    python benchmarks/fleet.py --print

Each network is tuned twice by the native engine, for this CPU's class and for ``any``, whose sums saturate nowhere and
which so answers the same on every CPU. Both QLinear files and fp32 are timed in alternating blocks on one thread. The
cells are in ``benchmarks/results/fleet``; what is there is not measured again. The README's table is what they give.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from contest.bench import Bench
from contest.cells import Cells
from contest.contenders import Made, tuned, tuned_file
from contest.judging import judge
from contest.subjects import SUBJECTS, Places
from contest.timing import sitting

RESULTS = Path(__file__).with_name("results") / "fleet"
NETWORKS = ("squeezenet", "efficientnet_lite0")
_TARGETS = ("auto", "any")


def table(cells: Cells) -> str:
    """Return the README's table of a CPU's cells."""
    lines = ["| network | made for | top-1 | agreement | KL | speed-up (95 %) |", "|---|---|---:|---:|---:|---:|"]
    for name in NETWORKS:
        for target in _TARGETS:
            near, timed = cells.near(name, target), cells.timed(name, target, 1)
            if near is None or timed is None or near.top1 is None or near.agreement is None or timed.ratio is None:
                continue
            made_for = f"`{timed.machine['class'] if target == 'auto' else target}`"
            figures = f"{100 * near.top1:.1f} % | {100 * near.agreement:.1f} % | {near.kl:.4f}"
            lines.append(
                f"| {SUBJECTS[name].title} | {made_for} | {figures} | "
                f"{timed.ratio:.2f}x ({timed.low:.2f} to {timed.high:.2f}) |"
            )
    return "\n".join(lines)


def main() -> int:
    """Fill the cells that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", type=Path)
    parser.add_argument("--label_path", type=Path)
    parser.add_argument("--models", type=Path, default=Path("../shared/models"), help="of networks not fetched")
    parser.add_argument("--seconds", type=float, default=90, help="longest time of one measurement")
    parser.add_argument("--folder", type=Path, default=Path("runs/fleet"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--print", action="store_true", help="print what the cells give, and measure nothing")
    given = parser.parse_args()
    cells = Cells(given.results)
    if not given.print:
        if given.data_path is None or given.label_path is None:
            parser.error("--data_path and --label_path are needed")
        places = Places(*(place.resolve() for place in (given.data_path, given.label_path, given.models, given.folder)))
        for name in NETWORKS:
            if any(cells.timed(name, target, 1) is None for target in _TARGETS):
                _measured(name, places, cells, given.seconds)
    print(table(cells))
    return 0


def _measured(name: str, places: Places, cells: Cells, seconds: float) -> None:
    bench = Bench.of(name, SUBJECTS[name], places)
    files = {"fp32": bench.fp32.path}
    for target in _TARGETS:
        place = bench.folder / target
        reason = None if (place / "report.json").is_file() else tuned(bench, place, "--target", target)
        file = tuned_file(place, "int8")
        if file is None:
            raise SystemExit(f"{place}: no model: {reason}")
        files[target] = file
        cells.write(judge(target, Made(file, 0.0), bench))
    for cell in sitting(files, bench, 1, seconds):
        cells.write(cell)


if __name__ == "__main__":
    sys.exit(main())
