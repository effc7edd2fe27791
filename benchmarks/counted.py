"""Run a command of `quantize` and count the images of every inference that evaluates a model.

    python benchmarks/counted.py COUNTS.json tune --input_model …

COUNTS.json gets {"fp32": images, "int8": images}; what is no evaluation (calibration, sensitivity, timing) is bounded
by the calibration images and the clock, and not counted.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from quantize.cli.main import main as command
from quantize.evaluation import evaluate, inference
from quantize.run import export


def main() -> None:
    """Run the command of the command line, and write the counts."""
    counted: Counter[str] = Counter()
    roles: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # a session that is kept keeps its memory
    adding = threading.Lock()
    opening, scoring = inference.open_scores, inference.scores_of

    def open_scores(model: Any, **settings: Any) -> Any:
        session = opening(model, **settings)
        roles[session] = "fp32" if Path(model.path).name.startswith("fp32") else "int8"
        return session

    def scores_of(session: Any, contract: Any, images: Any) -> Any:
        with adding:
            counted[roles[session]] += len(images)
        return scoring(session, contract, images)

    for module in (evaluate, export):
        module.open_scores, module.scores_of = open_scores, scores_of  # type: ignore[attr-defined]
    try:
        code = command(sys.argv[2:])
    finally:
        Path(sys.argv[1]).write_text(json.dumps(counted), encoding="utf-8")
    sys.exit(code)


if __name__ == "__main__":
    main()
