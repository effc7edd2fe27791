"""Do two versions of this project give the same models and the same figures from the same recorded runs?

    python benchmarks/same_results.py OLD NEW RUN… [--iteration 20] [--keep FOLDER]

OLD and NEW are checkouts, each with its own ``.venv`` (``bash scripts/environment.sh inc``). Each RUN, a folder that
``quantize tune`` wrote, is replayed by both on this machine; a run of the native engine is also searched again by both
on its recorded latencies. Compared are the graph hashes with those of RUN, and every value of the two new reports, keys
under their new names (``quantize/report/renamed_keys.py``). Left out is what times a run or says where and when it ran:
``MEASURED``.

Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quantize.report.renamed_keys import new_name

# Dotted keys of a report (list positions as numbers) whose values are times, or name a place, a moment or a version.
MEASURED = re.compile(
    r"""^(
      measurement | resources | profile | stages | machine | provenance\.(created|command|tool|versions)
      | verdict\.(speed|text|summary) | replay\.of | flips\.shown\.\d+\.thumbnail
      | (engines\.\d+\.)? (seconds | peak_bytes | search\.stages | trials\.\d+\.seconds)
      | engines\.\d+\.reasons
      | rewrites\.\d+\.(speedup | seconds | ratio) .*
      | .*_ns | .*\.seconds
    )(\.|$)""",
    re.VERBOSE,
)
# Sentences that quote a measured ratio.
TIMED = re.compile(r"runs at .* of fp32's speed|faster|slower")
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
    ways = {"replayed": ["--replay", str(run)]}
    if recorded["engine"] == "native":
        ways["searched again"] = _searched(run, recorded)
    for way, arguments in ways.items():
        reports = {}
        for version, checkout in (("old", old), ("new", new)):
            output = place / f"{run.name}-{way.split()[0]}-{version}"
            _tune(checkout, [*arguments, "--iteration", str(iteration), "--output_model", str(output)], way)
            reports[version] = _report(output)
        differences = [
            *(f"old: {line}" for line in _models(recorded, reports["old"])),
            *(f"new: {line}" for line in _models(recorded, reports["new"])),
            *_values(reports["old"], reports["new"]),
        ]
        count = sum(1 for key in _flat(reports["new"]) if not MEASURED.match(key))
        print(f"{run.name} {way}: {count} values, {len(differences)} differences", flush=True)
        for line in differences:
            print(f"  {line}", flush=True)
        yield from differences


def _searched(run: Path, recorded: dict[str, Any]) -> list[str]:
    """Return the arguments that search again on the recorded latencies."""
    return [
        *("--config", str(run / "config.yaml"), "--input_model", recorded["source"]["path"]),
        *("--latency_table", str(run / "latency_table.json")),
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
        before, now = _flat(recorded).get(key), _flat(report).get(key)
        if before != now:
            yield f"{key}: {before!r} recorded, {now!r} now"


def _values(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield the values that two reports do not share."""
    before = {new_name(key): value for key, value in _flat(old).items() if not MEASURED.match(key)}
    after = {key: value for key, value in _flat(new).items() if not MEASURED.match(key)}
    for key in sorted(before.keys() | after.keys()):
        missing = object()
        first, second = before.get(key, missing), after.get(key, missing)
        # A field that is new and says "nothing" is no difference.
        if first is missing and second in (None, [], {}):
            continue
        timed = isinstance(first, str) and isinstance(second, str) and TIMED.search(first) and TIMED.search(second)
        if first != second and not timed:
            shown = ["(no such key)" if value is missing else repr(value)[:120] for value in (first, second)]
            yield f"{key}: old {shown[0]}, new {shown[1]}"


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return the leaves of nested values by their dotted keys."""
    if isinstance(value, dict) and value:
        parts = value.items()
    elif isinstance(value, list) and value:
        parts = {str(position): item for position, item in enumerate(value)}.items()
    else:
        return {key: value}
    leaves: dict[str, Any] = {}
    for name, item in parts:
        leaves |= _flat(item, f"{key}.{name}" if key else str(name))
    return leaves


if __name__ == "__main__":
    sys.exit(main())
