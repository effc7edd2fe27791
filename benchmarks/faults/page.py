"""The table of faults as a page of the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from faults.experiments import Table

_HEAD = """# What breaks a run off, and what comes of it

A run is a folder, and nothing outside it changes but the caches. Whatever happens, it ends with the right result, or
with a clear error and the right exit code, and every finished step is kept: `quantize tune --resume RUN` goes on to the
result of an unbroken run.

Each row is a fault, done to runs of a small classifier: {engines}.
A place is a function of the system (called by native code too) and a file that it is called on, refused at its first
and its last call of a run. What came of it is compared with the unbroken run: recipe, both graphs, accuracy, and the
journal, which must begin with what was finished before. A process that is not yet loaded is ended by the signal itself
(143 for SIGTERM in a shell); from then on the exit code is 130. Made by

    python benchmarks/break_runs.py --engines {named} --random {random} --kills {kills} --page docs/faults.md

which records what came of each fault, so that it can be broken off itself, and exits with 1 if any came to something
else.

| fault | runs | outcomes |
|---|---:|---|
"""

_BY_HAND = "## Found by it"


def written_by_hand(path: Path) -> str:
    """Return what stands below the table in a page that was made before: it is kept."""
    if not path.is_file():
        return ""
    _, heading, below = path.read_text(encoding="utf-8").partition(f"\n{_BY_HAND}\n")
    return heading + below


def page(table: Table, counts: Mapping[str, int], missing: Sequence[str], random: int, kills: int) -> str:
    """Return the page.

    Args:
        table: What came of every fault.
        counts: How many there were, by engine.
        missing: Parts of which not all is done.
        random: Refused calls drawn at random, as asked for.
        kills: Kills, as asked for.
    """
    in_words = " and ".join(f"`--engine {name}` ({count:,})" for name, count in counts.items())
    head = _HEAD.format(engines=in_words, named=" ".join(counts), random=random, kills=kills)
    rows = []
    for fault, outcomes in table.rows.items():
        words = "; ".join(f"{count} {came_to}" for came_to, count in outcomes.most_common())
        rows.append(f"| {fault} | {sum(outcomes.values())} | {words} |\n")
    wrong = len(table.wrong)
    judged = f"{wrong} came to something else than they should" if wrong else "all came to what they should"
    left = f" Not all is done yet of: {', '.join(missing)}." if missing else ""
    return f"{head}{''.join(rows)}\n{table.total:,} faults; {judged}.{left}\n"
