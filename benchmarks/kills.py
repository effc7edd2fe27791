"""Kill a native run at random moments, resume it, and see whether it ends with the same two models.

    python benchmarks/kills.py --input_model squeezenet1.0-12.onnx --preset caffe \
        --data_path VAL --label_path VAL.txt [--kills 20] [--at_once 1] [--folder runs/kills]

One unbroken run measures and writes its latency table. Every further run takes that table, is killed (SIGKILL, with all
its children) at a moment drawn evenly from a whole run's time, and is resumed with ``quantize tune --resume``. Recipe
and ``graph_sha256`` of both models must be those of a run with the table that nothing broke.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Outcome = tuple[str, ...]
"""The recipe's id and the hash of each model's graph."""


def main() -> int:
    """Return 1 if any resumed run ended otherwise than the unbroken one."""
    given, tune = _arguments()
    given.folder.mkdir(parents=True, exist_ok=True)
    first, whole = given.folder / "measured", given.folder / "unbroken"
    _run([*tune, "--output_model", str(first), "--overwrite"])
    recorded = [*tune, "--latency_table", str(first / "latency_table.json")]
    began = time.monotonic()
    _run([*recorded, "--output_model", str(whole), "--overwrite"])
    seconds, expected = time.monotonic() - began, _outcome(whole)
    print(f"unbroken: {seconds:.0f} s, {' '.join(expected)}", flush=True)
    draw = random.Random(given.seed)
    moments = [draw.uniform(0, seconds) for _ in range(given.kills)]

    def broken(number: int) -> bool:
        folder = given.folder / f"killed-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        done = _killed([*recorded, "--output_model", str(folder)], moments[number])
        if (folder / "trials.jsonl").is_file():
            _run([*tune[:4], "--resume", str(folder)])
        else:  # killed before anything was finished
            _run([*recorded, "--output_model", str(folder)])
        same = _outcome(folder) == expected
        how = "the same" if same else f"DIFFERENT: {' '.join(_outcome(folder))}"
        print(f"killed after {moments[number]:5.1f} s, {done}: {how}", flush=True)
        shutil.rmtree(folder)
        return same

    with ThreadPoolExecutor(given.at_once) as pool:
        same = list(pool.map(broken, range(given.kills)))
    print(f"{sum(same)} of {given.kills} the same recipe and the same graphs")
    return 0 if all(same) else 1


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}\nended with exit code {done.returncode}:\n{done.stderr}")


def _killed(command: list[str], seconds: float) -> str:
    """Start a run, kill it after so many seconds, and return what its journal held then."""
    folder = Path(command[-1])
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    journal = folder / "trials.jsonl"
    steps = len(journal.read_bytes().splitlines()) if journal.is_file() else 0
    return f"{steps} lines journaled"


def _outcome(folder: Path) -> Outcome:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return (report["chosen"]["recipe_id"], *(model["graph_sha256"][:16] for model in report["models"]))


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_model", required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--label_path", required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--at_once", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("runs/kills"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names = ("input_model", "preset", "data_path", "label_path")
    flags = [word for name in names for word in (f"--{name}", getattr(given, name))]
    tune = [sys.executable, "-m", "quantize", "tune", *flags, "--engine", "native", "--iteration", "20"]
    return given, tune


if __name__ == "__main__":
    sys.exit(main())
