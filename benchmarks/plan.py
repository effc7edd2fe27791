"""How good is what `quantize tune` says of its time: the plan at its start, and what is left, line by line?

    python benchmarks/plan.py --data_path IMAGES --label_path LABELS.txt --network MODEL.onnx PRESET [--network …] \
        [--engine native --engine inc] [--flags=--quick]

Each run's log is read as it is written. What a line says is left of the whole run is held against what
was left when the run had ended. Printed are the plan beside what came true, stage by stage, and the lines' ratios.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_LEFT = re.compile(r"about (.+?) of the whole run left$")
_WHOLE = re.compile(r"the whole run takes about (.+?):$")
_PLANNED = re.compile(r"  (.+): (.+?)$")
_PART = re.compile(r"([\d.]+) (h|min|s)")
_SECONDS = {"h": 3600.0, "min": 60.0, "s": 1.0}


@dataclass(frozen=True)
class Told:
    """What a run's log said, in seconds.

    Attributes:
        whole: What the plan said of the whole.
        took: What was left then, in truth.
        planned: Stage to what the plan said of it.
        stages: Stage to what it took.
        lines: Of each line that said what is left: that, and what was left in truth.
    """

    whole: float
    took: float
    planned: dict[str, float]
    stages: dict[str, float]
    lines: tuple[tuple[float, float], ...]


def main() -> None:
    """Run every network with every engine, and print what was said and what came true."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--label_path", type=Path, required=True)
    parser.add_argument("--network", nargs=2, action="append", required=True, metavar=("MODEL", "PRESET"))
    parser.add_argument("--engine", action="append")
    parser.add_argument("--flags", default="", help="further flags of quantize tune, as one word")
    given = parser.parse_args()
    for model, preset in given.network:
        for engine in given.engine or ["native"]:
            flags = ["--input_model", model, "--preset", preset, "--engine", engine, *given.flags.split()]
            flags += ["--data_path", str(given.data_path), "--label_path", str(given.label_path)]
            print(f"{Path(model).stem}, {engine} {given.flags}".rstrip(), flush=True)
            print(in_words(_run(flags)), flush=True)


def _run(flags: list[str]) -> Told:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "run"
        command = [sys.executable, "-m", "quantize", "tune", *flags, "--output_model", str(output)]
        lines: list[tuple[float, str]] = []
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            assert process.stderr is not None
            lines += [(time.monotonic(), line.rstrip("\n")) for line in process.stderr]
        end = time.monotonic()
        if process.returncode not in (0, 1):
            sys.exit("\n".join(line for _, line in lines))
        report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return told(lines, end, {stage["name"]: float(stage["seconds"]) for stage in report["stages"]})


def told(lines: list[tuple[float, str]], end: float, stages: dict[str, float]) -> Told:
    """Return what a log said.

    Args:
        lines: The time of each line, in seconds, and the line.
        end: When the run ended.
        stages: What each stage took.
    """
    plan = next(number for number, (_, line) in enumerate(lines) if _WHOLE.match(line))
    at, whole = lines[plan]
    said = _WHOLE.match(whole)
    assert said is not None
    planned = {}
    for _, line in lines[plan + 1 :]:
        stage = _PLANNED.match(line)
        if stage is None:
            break
        planned[stage[1]] = seconds(stage[2])
    left = [(seconds(match[1]), end - when) for when, line in lines if (match := _LEFT.search(line))]
    return Told(seconds(said[1]), end - at, planned, stages, tuple(left))


def seconds(text: str) -> float:
    """Return the seconds of a duration in words, such as ``1 min 10 s``."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def in_words(run: Told) -> str:
    """Return what a run said beside what came true."""
    rows = [f"  whole run: said {run.whole:.0f} s, took {run.took:.1f} s ({run.whole / run.took:.2f})"]
    rows += [f"    {stage}: {said:.0f} s, {run.stages.get(stage, 0.0):.1f} s" for stage, said in run.planned.items()]
    ratios = [said / real for said, real in run.lines if real >= 5]
    if ratios:
        rows.append(
            f"  {len(ratios)} lines with 5 s or more to go: said / real {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
