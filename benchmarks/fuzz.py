"""Fuzz every way in for files of strangers, and count it in ``docs/fuzzing.md``.

Run: python benchmarks/fuzz.py [TARGET ...] [--executions N] [--minutes M] [--folder DIR]

Counts of runs add up in ``benchmarks/results/fuzzing.json``. What is found lies in ``DIR/TARGET/findings``: the file,
and beside it what it did; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fuzzing.drive import drive  # the others import quantize, which it instruments first

_RESULTS = Path("benchmarks/results/fuzzing.json")
_PAGE = Path("docs/fuzzing.md")
_SLICE = 10_000
"""Executions after which the counts are saved: what a stop loses at most."""


def fuzz(name: str, folder: Path, executions: int, until: float, before: int) -> int:
    """Run a target in child processes, a new one where one dies, and return how often it was run.

    Args:
        name: The target's.
        folder: For what is found.
        executions: How often.
        until: When to end at the latest, on the monotonic clock.
        before: How often it was run before: other files are drawn then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    environment["PYTHONPATH"] = str(Path(__file__).parent)  # of forks that open models
    while done < executions and (left := until - time.monotonic()) > 0:
        (folder / "executions").unlink(missing_ok=True)
        words = [sys.executable, __file__, "--drive", name, str(folder), str(executions - done), str(before + done)]
        try:
            with (folder / "log.txt").open("ab") as log:
                code = subprocess.run(words, stdout=log, stderr=log, timeout=left, env=environment).returncode
        except subprocess.TimeoutExpired:
            code = 0
        started = done
        with suppress(OSError, ValueError):
            done += int((folder / "executions").read_text())
        for place in folder.glob("*-*"):  # crash-, timeout-, oom-: what libFuzzer left of a process that died
            if place.is_file():
                place.replace(folder / "findings" / place.name)
        if code != 0:
            print(f"{name}: a process ended with {code} after {done:,} executions", file=sys.stderr)
            if done == started:
                break
    return done


def _results() -> dict[str, Any]:
    if not _RESULTS.is_file():
        return {"executions": {}, "fixed": {}}
    results: dict[str, Any] = json.loads(_RESULTS.read_text("utf-8"))
    return results


def _save(name: str, executions: int, done: int, spent: os.times_result) -> None:
    now, results = os.times(), _results()
    results["executions"][name] = executions
    if done:
        seconds = now.children_user + now.children_system - spent.children_user - spent.children_system
        results.setdefault("milliseconds", {})[name] = round(1000 * seconds / done, 2)
    _RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")


def findings(folder: Path) -> list[str]:
    """Return what was found, one line a kind."""
    return sorted(path.name for path in (folder / "findings").glob("*") if path.suffix != ".txt")


def main() -> int:
    """Fuzz, count and write the page."""
    if sys.argv[1:2] == ["--drive"]:
        name, folder, executions, seed = sys.argv[2:]
        drive(name, Path(folder), int(executions), int(seed))
        return 0
    from fuzzing.page import page
    from fuzzing.registry import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[])
    parser.add_argument("--executions", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--folder", type=Path, default=Path("build/fuzzing"))
    asked = parser.parse_args()
    found: dict[str, list[str]] = {}
    for name in asked.targets or TARGETS:
        until = time.monotonic() + (60 * asked.minutes if asked.minutes is not None else float("inf"))
        before, wanted = _results()["executions"].get(name, 0), asked.executions or TARGETS[name].executions
        spent, done, ran = os.times(), 0, 1
        while done < wanted and ran:
            ran = fuzz(name, asked.folder / name, min(_SLICE, wanted - done), until, before + done)
            done += ran
            _save(name, before + done, done, spent)
            _PAGE.write_text(page(_results()), "utf-8")
        found[name] = findings(asked.folder / name)
        print(f"{name}: {done:,} executions, {len(found[name])} kinds of findings", *found[name], sep="\n  ")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
