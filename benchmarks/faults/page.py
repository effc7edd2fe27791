"""The table of faults as a page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from faults.experiments import Table

_HEAD = """# What breaks a run off, and what comes of it

A run is a folder, and nothing outside it changes but the caches. Whatever happens, it ends with the right result, or
with a clear error and the right exit code, and every finished step is kept: `quantize tune --resume RUN` goes on to the
result of an unbroken run. Each row is a fault, done to runs of a small classifier with {engines}; a place is a function
of the system (called by native code too) and a file that it is called on, refused at its first and its last call of a
run. What came of it is compared with the unbroken run: recipe, both graphs, accuracy, and the journal, which must begin
with what was finished before. Made by

    python benchmarks/break_runs.py --engines {named} --random {random} --kills {kills} --page docs/faults.md

| fault | runs | outcomes |
|---|---:|---|
"""


def page(table: Table, engines: Sequence[str], random: int, kills: int) -> str:
    """Return the page."""
    in_words = " and ".join(f"`--engine {name}`" for name in engines)
    head = _HEAD.format(engines=in_words, named=" ".join(engines), random=random, kills=kills)
    rows = []
    for fault, outcomes in table.rows.items():
        words = "; ".join(f"{count} {came_to}" for came_to, count in outcomes.most_common())
        rows.append(f"| {fault} | {sum(outcomes.values())} | {words} |\n")
    total, wrong = sum(sum(outcomes.values()) for outcomes in table.rows.values()), len(table.wrong)
    judged = f"{wrong} came to something else than they should" if wrong else "all came to what they should"
    return f"{head}{''.join(rows)}\n{total:,} faults; {judged}.\n"
