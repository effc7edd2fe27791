"""What two sweeps came to, but for what was timed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_OF_THE_TIME = ("created", "command", "workers", "classes", "tool")
_SLOWER = ", slower than fp32"
"""What a headline says of times: on a busy machine the same file is now slower by more than the noise, now not."""


def came_to(output: Path) -> str:
    """Return the report of a sweep without what differs from time to time, with every evaluation of its runs."""
    report = json.loads((output / "sweep.json").read_text(encoding="utf-8"))
    for name in _OF_THE_TIME:
        del report[name]
    for run in report["runs"]:
        del run["times"]
        run["headline"] = run["headline"] and run["headline"].replace(_SLOWER, "")
        run["evaluations"] = _evaluations(output / run["run"])
    return json.dumps(report, indent=1, sort_keys=True)


def _evaluations(run: Path) -> list[Any]:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return [
        {name: model[name] for name in ("role", "graph_sha256", "file_sha256", "selection", "test") if name in model}
        for model in (report["baseline"], *report["models"])
    ]


def classes(output: Path) -> list[str]:
    """Return the classes of CPUs that a sweep has a column for."""
    report = json.loads((output / "sweep.json").read_text(encoding="utf-8"))
    return list(report["classes"])


def written_at(output: Path) -> dict[str, int]:
    """Return when each run's report was written, in nanoseconds."""
    return {path.parent.name: path.stat().st_mtime_ns for path in sorted(output.glob("*/report.json"))}
