"""The trial log: a line a finished trial, on disk before the next one begins."""

from __future__ import annotations

import json
import os
from pathlib import Path

from quantize.report.trials import TrialSection


def append_trial(path: Path, trial: TrialSection) -> None:
    """Append one trial as a line of JSON and wait until it is on the disk."""
    line = json.dumps(trial.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())
