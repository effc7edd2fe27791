"""How long does `quantize tune` take in two versions of this project, and is what comes of it as good?

    python benchmarks/tuning_time.py OLD NEW --data_path IMAGES --label_path LABELS.txt \
        --network MODEL.onnx PRESET [--network …] [--engine native] [--repeats 3]

OLD and NEW are checkouts; their package is imported by this interpreter, so that both run with the same libraries. They
take turns, and which one begins changes, so that what else the machine does falls on both. Of each run are told the
seconds of the search (the report's stage `tune`), the processor time of the whole run but for its benchmark, whose
length is a setting, and verdict, top-1 and agreement. The ratios are the median of the pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BENCHMARK = 5


@dataclass(frozen=True)
class Run:
    """What a run took, in seconds, and what came of it.

    Attributes:
        search: Of the search, by the clock.
        processor: Of the whole run and its children, on all cores together.
        verdict: The outcome in one word.
        top1: Of the QLinear file, a fraction.
        agreement: Of the QLinear file with fp32, a fraction.
        stages: Seconds of the search by stage.
    """

    search: float
    processor: float
    verdict: str
    top1: float
    agreement: float
    stages: dict[str, float]


def main() -> None:
    """Run both versions in turns, and print what each took and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--label_path", type=Path, required=True)
    parser.add_argument("--network", nargs=2, action="append", required=True, metavar=("MODEL", "PRESET"))
    parser.add_argument("--engine", default="native")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    places = {"old": given.old.resolve(), "new": given.new.resolve()}
    for model, preset in given.network:
        arguments = [
            *("--input_model", str(Path(model).resolve()), "--preset", preset, "--engine", given.engine),
            *("--data_path", str(given.data_path.resolve()), "--label_path", str(given.label_path.resolve())),
            *("--max_seconds", str(_BENCHMARK)),
        ]
        runs: dict[str, list[Run]] = {"old": [], "new": []}
        for turn in range(given.repeats):
            for version in ("old", "new") if turn % 2 == 0 else ("new", "old"):
                runs[version].append(_run(places[version], arguments))
                print(f"{Path(model).stem} {version}: {_words(runs[version][-1])}", flush=True)
        for name in ("search", "processor"):
            pairs = zip(runs["new"], runs["old"], strict=True)
            ratios = [getattr(new, name) / getattr(old, name) for new, old in pairs]
            print(
                f"{Path(model).stem} {name}: new / old {statistics.median(ratios):.2f} ({_listed(ratios)})", flush=True
            )


def _run(checkout: Path, arguments: list[str]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "run"
        before = os.times()
        done = subprocess.run(
            [sys.executable, "-m", "quantize", "tune", *arguments, "--output_model", str(output)],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            check=False,
        )
        after = os.times()
        if done.returncode not in (0, 1):  # 1: a criterion is not met
            sys.exit(f"{checkout}: exit code {done.returncode}\n{done.stderr}")
        report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    stages = {stage["name"]: float(stage["seconds"]) for stage in report["stages"]}
    return Run(
        search=stages["tune"],
        processor=spent - _BENCHMARK,
        verdict=report["verdict"]["status"],
        stages={stage["name"]: float(stage["seconds"]) for stage in (report["search"] or {"stages": ()})["stages"]},
        **_accuracy(report),
    )


def _accuracy(report: dict[str, Any]) -> dict[str, float]:
    evaluation = next(model for model in report["models"] if model["role"] == "int8")["selection"]["evaluation"]
    return {"top1": evaluation["top1"]["expected"], "agreement": evaluation["fidelity"]["agreement"]}


def _words(run: Run) -> str:
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in run.stages.items())
    return (
        f"search {run.search:.1f} s ({stages}), processor {run.processor:.1f} s, {run.verdict}, "
        f"top-1 {run.top1:.2%}, agreement {run.agreement:.2%}"
    )


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()
