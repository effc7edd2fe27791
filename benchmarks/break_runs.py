"""Break small runs off in every way there is, and write the table of what came of it.

    python benchmarks/break_runs.py [--engines native ort] [--random 200] [--kills 200] [--page docs/faults.md]

Calls of the system are refused by a library that is compiled with ``cc`` and loaded into every process of a run: each
place that opens, writes, syncs or renames at its first and its last call, and calls drawn at random; then runs are
killed at random moments. Each run that was broken off is gone on with, and must end with the recipe, the graphs and
the accuracy of an unbroken run, with every finished step kept. Exits with 1 if anything else came of any fault. What is
recorded in ``done`` in the folder is not done again.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from faults.experiments import Frame, Site, Table, at_random, at_sites, kills, sites_of
from faults.page import page, written_by_hand
from faults.places import place_experiments
from faults.processes import Done, Experiment, drive, preloaded
from faults.recorded import RecordedTable
from faults.starts import process_experiments
from faults.warm import import_everything, leave_out_what_takes_long
from faults.workload import CHARTS, MEMORY, Workload, make_inputs, outcome
from own_folder import refuse_foreign

PARTS = ("places", "processes", "kills", "random", "calls")
DONE = "done"
_SEED = 15


def main() -> int:
    """Return 1 if a fault came to what it must not come to."""
    given = _arguments()
    sys.path.append(str(Path(__file__).parents[1]))  # the small classifier is that of the tests
    folder, table, counts = given.folder.absolute(), Table(), dict[str, int]()
    missing: list[str] = []
    if not given.print:
        if not preloaded():
            print("a C compiler (cc) is needed")
            return 2
        refuse_foreign(folder, own=(folder / DONE).is_dir())
        import_everything()
        leave_out_what_takes_long()
        for old in (folder / name for name in ("inputs", *given.engines)):
            shutil.rmtree(old, ignore_errors=True)
        make_inputs(folder / "inputs")
    for engine in given.engines:
        before = table.total
        recorded = {
            part: RecordedTable(folder / DONE / f"{engine}-{part}.jsonl", table)
            for part in (PARTS if given.print else given.parts)
        }
        if not given.print:
            _add(recorded, folder / engine, given)
        counts[engine] = table.total - before
        missing += [f"{engine}: {part}" for part, each in recorded.items() if not each.is_whole]
        if given.page is not None:
            made = page(table, counts, missing, given.random, given.kills)
            given.page.write_text(made + written_by_hand(given.page), encoding="utf-8")
    print(page(table, counts, missing, given.random, given.kills))
    return 1 if table.wrong else 0


def _add(tables: Mapping[str, RecordedTable], folder: Path, given: argparse.Namespace) -> None:
    """Add what comes of every part on one engine, whose runs lie in a folder of its name."""
    work, unbroken, calls = _unbroken(folder.parent, folder.name)
    expected = outcome(folder / "unbroken" / "run")
    assert expected is not None
    sites = sites_of(folder / "unbroken" / "calls.txt", folder / "unbroken")
    print(f"{folder.name}: {unbroken.seconds:.1f} s, {calls:,} calls at {len(sites)} places", flush=True)
    numbers = itertools.count(1)
    for part, table in tables.items():
        frame = Frame(table, work, expected, lambda: folder / f"broken-{next(numbers)}")
        drawn = random.Random(f"{_SEED} {folder.name} {part}")
        drive(table.missing(_experiments(part, frame, drawn, calls, sites, given)), given.at_once)
        if part != "calls" or given.every == 1:
            table.end()
        print(f"{folder.name}, {part}: done", flush=True)


def _experiments(
    part: str, frame: Frame, draw: random.Random, calls: int, sites: Mapping[Site, int], given: argparse.Namespace
) -> Iterator[tuple[int | str, Experiment]]:
    """Yield every experiment of a part, with its name or number."""
    share = len(given.engines)
    slower = max(1.0, given.at_once / (os.cpu_count() or 1))
    if part == "places":
        yield from enumerate(place_experiments(frame))
    elif part == "processes":
        yield from enumerate(process_experiments(frame, draw))
    elif part == "kills":
        for number, (name, how, codes) in enumerate(kills(draw, frame.work.seconds * slower, given.kills // share)):
            row = f"{name} at a random moment"
            yield number, frame.broken(row, codes=codes, environment={CHARTS: "1"}, **how)
    elif part == "random":
        for number, refusal in enumerate(at_random(draw, calls, given.random // share)):
            row = "calls at random refused, from there on" if refusal.stays else "a call at random refused"
            yield number, frame.broken(row, refusal=refusal)
    else:
        for name, refusal in itertools.islice(at_sites(sites), 0, None, given.every):
            memory = {MEMORY: "1"} if "resources" in str(refusal.pattern) else {}
            row = f"{refusal.function} refused, each place"
            yield name, frame.broken(row, refusal=refusal, environment=memory)


def _unbroken(folder: Path, engine: str) -> tuple[Workload, Done, int]:
    """Return the run that nothing breaks, how it ended, and how many calls it made."""
    ended: list[Done] = []
    unbroken = folder / engine / "unbroken"

    def runs() -> Experiment:
        work = Workload(folder / "inputs", engine)
        measured = folder / engine / "measured"
        environment = {**work.environment(measured), "QUANTIZE_CACHE": str(folder / "inputs" / "cache")}
        ended.append((yield replace(work.command(measured), environment=environment)))
        shutil.copy(measured / "run" / "latency_table.json", folder / f"{engine}.json")
        recorded = Workload(folder / "inputs", engine, folder / f"{engine}.json")
        command = recorded.command(unbroken, log=unbroken / "calls.txt")
        ended.append((yield replace(command, environment={**command.environment, MEMORY: "1"})))
        # What is called, and how long it takes, without memory measured.
        again = folder / engine / "again"
        command = recorded.command(again, log=folder / engine / "calls.txt")
        ended.append((yield replace(command, environment={**command.environment, CHARTS: "1"})))

    drive([runs()], 1)
    for done in ended:
        if done.code not in (0, 1, 3):
            raise SystemExit(f"the unbroken run ended with {done.code}:\n{done.errors}")
    calls = len((folder / engine / "calls.txt").read_text(errors="replace").splitlines())
    done = ended[-1]
    return Workload(folder / "inputs", engine, folder / f"{engine}.json", unbroken, done.seconds), done, calls


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/faults"), help="new, empty, or of an earlier call")
    parser.add_argument("--engines", nargs="+", default=["native", "ort"])
    parser.add_argument("--random", type=int, default=200)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--every", type=int, default=1, help="of the places in the code, each so many-th")
    parser.add_argument("--at_once", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--print", action="store_true", help="print what is recorded, and break nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
