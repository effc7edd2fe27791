"""Do two versions of this project give the same models and the same figures from the same recorded runs?

    python benchmarks/same_results.py OLD NEW RUN… [--iteration 20] [--keep FOLDER]

OLD and NEW are checkouts, each with its own ``.venv`` (``bash scripts/environment.sh inc``). Each RUN, a folder that
``quantize tune`` wrote, is replayed by both on this machine. A run of the native engine is also searched again: by OLD
on the latencies that RUN recorded, and by NEW on those that OLD used then, since recipes of another version may have
other names. Compared are the graph hashes with those of RUN, and every value of the two new reports, keys under their
new names (``quantize/report/renamed_keys.py``). Left out is what times a run or says where and when it ran
(``report_differences.MEASURED``); keys that OLD does not write are only named.

Exit code 1 where anything differs, as it does where a rewrite gives another graph on purpose: ``new: another graph``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from report_differences import compared, differences, flat, new_keys

_MODELS = ("int8", "qdq")
_CERTAIN = ("chosen.recipe", "chosen.recipe_id")


def main() -> int:
    """Replay every run with both versions, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--iteration", type=int, default=20, help="runs of each model in the final measurement")
    parser.add_argument("--keep", type=Path, help="where the new runs stay")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        problems = [
            problem
            for run in given.runs
            for problem in _compared(run.resolve(), given.old.resolve(), given.new.resolve(), place, given.iteration)
        ]
    print("the same results" if not problems else f"{len(problems)} differences")
    return 1 if problems else 0


def _compared(run: Path, old: Path, new: Path, place: Path, iteration: int) -> Iterator[str]:
    recorded = _report(run)
    for way in ("replayed", *(["searched again"] if recorded["engine"] == "native" else [])):
        reports, latencies = {}, run / "latency_table.json"
        for version, checkout in (("old", old), ("new", new)):
            output = place / f"{run.name}-{way.split()[0]}-{version}"
            asked = ["--replay", str(run)] if way == "replayed" else _searched(run, recorded, latencies)
            _tune(checkout, [*asked, "--iteration", str(iteration), "--output_model", str(output)], way)
            reports[version], latencies = _report(output), output / "latency_table.json"
        found = [
            *(f"old: {line}" for line in _models(recorded, reports["old"])),
            *(f"new: {line}" for line in _models(recorded, reports["new"])),
            *differences(reports["old"], reports["new"]),
        ]
        print(f"{run.name} {way}: {len(compared(reports['new']))} values, {len(found)} differences", flush=True)
        for line in found:
            print(f"  {line}", flush=True)
        if added := new_keys(reports["old"], reports["new"]):
            print(f"  new keys: {', '.join(added)}", flush=True)
        yield from found


def _searched(run: Path, recorded: dict[str, Any], latencies: Path) -> list[str]:
    """Return the arguments that search again on recorded latencies."""
    return [
        *("--config", str(run / "config.yaml"), "--input_model", recorded["source"]["path"]),
        *("--latency_table", str(latencies)),
    ]


def _tune(checkout: Path, arguments: list[str], way: str) -> None:
    python = checkout / ".venv" / "bin" / "python"
    done = subprocess.run(
        [str(python), "-m", "quantize", "tune", *arguments], cwd=checkout, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):  # 1: a criterion is not met, which a recorded run may say too
        sys.exit(f"{checkout}, {way}: exit code {done.returncode}\n{done.stderr}")


def _report(run: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return report


def _models(recorded: dict[str, Any], report: dict[str, Any]) -> Iterator[str]:
    """Yield how the models of a report differ from the recorded ones."""
    first, second = (
        {model["role"]: model["graph_sha256"] for model in shown["models"]} for shown in (recorded, report)
    )
    for role in _MODELS:
        if first[role] != second[role]:
            yield f"another {role} graph: {first[role][:12]} recorded, {second[role][:12]} now"
    for key in _CERTAIN:
        before, now = flat(recorded).get(key), flat(report).get(key)
        if before != now:
            yield f"{key}: {before!r} recorded, {now!r} now"


if __name__ == "__main__":
    sys.exit(main())
