"""Does an emulated CPU answer as exact sessions do here? Run by `make test-arm64` and `make test-haswell`.

    python -m tests.emulated.agree FOLDER --python PYTHON

PYTHON runs on the emulated CPU. The small network is tuned here and there, by latencies recorded here: emulated ones
say nothing. Every file and every generated graph is run on both. What an exact session gives there, and a plain one
where sums cannot saturate, must be what an exact session gives here, to the rounding of fp32 operators.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from quantize.formats.saturation import saturating_layers
from quantize.models.download.fetch import fetch
from quantize.target import saturates
from tests.emulated.answers import models, read_answers, write_answers
from tests.emulated.cases import write_generated, write_run, write_squeezenet
from tests.emulated.small_network import photographs, small_network
from tests.emulated.tuned import class_of, same_decisions, tune

_ROUNDING = 1e-5
"""Of the largest score: an int8 step, which is what an integer off by one would show, is hundreds of times that."""
_TURNED = 1e-3
"""The same for tuned files, whose fp32 layers can turn a step of a few values before the mean over an image."""


def main() -> int:
    """Compare the CPUs and return 0 where they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to work; what it holds is used again")
    parser.add_argument("--python", type=Path, required=True, help="runs on the emulated CPU")
    asked = parser.parse_args()
    python, folder = asked.python.absolute(), asked.folder.absolute()
    cases = folder / "cases"
    shutil.rmtree(cases, ignore_errors=True)
    cases.mkdir(parents=True)
    squeezenet = fetch("squeezenet1.0-12", folder / "squeezenet1.0-12.onnx", source="rebuilt").path
    network = small_network(squeezenet, folder)
    cpu_class = class_of(python)
    tuned = {"here": tune(Path(sys.executable), network, folder / "here", target=cpu_class)}
    tuned["there"] = tune(python, network, folder / "there", recorded=tuned["here"])
    for place, run in tuned.items():
        write_run(cases, place, run, network)
    write_squeezenet(cases, squeezenet, photographs(folder))
    write_generated(cases)
    write_answers(cases, "here")
    subprocess.run([python, "-m", "tests.emulated.answers", cases, "there"], check=True)
    sys.stdout.write(f"class there: {cpu_class}; {same_decisions(tuned['here'], tuned['there'])}\n")
    return _compared(cases, may_saturate=saturates(cpu_class))


def _compared(cases: Path, *, may_saturate: bool) -> int:
    """Print a line for each network and return 1 where one differs, else 0."""
    groups = defaultdict(list)
    for model in models(cases):
        groups[model.parent.name].append(model)
    failed = 0
    for group, members in groups.items():
        exact, plain, saturating = 0.0, 0.0, 0
        for model in members:
            here, there = (read_answers(model, name) for name in ("here", "there"))
            can = bool(saturating_layers(onnx.load(model)))
            exact = max(exact, _apart(here["exact"], there["exact"]))
            plainly = _apart(here["exact"], there["plain"])
            saturating += can and may_saturate
            plain = plain if can and may_saturate else max(plain, plainly)
        good = max(exact, plain) <= (_TURNED if "tuned" in group else _ROUNDING)
        failed += not good
        sys.stdout.write(
            f"{group}: {len(members)} files, apart by {exact:.1e} of the largest score in exact sessions, {plain:.1e}"
            f" in plain ones ({saturating} of them can saturate there and are left out): {'ok' if good else 'NO'}\n"
        )
    return int(failed > 0)


def _apart(first: list[NDArray[np.float32]], second: list[NDArray[np.float32]]) -> float:
    """Return the largest difference as a share of the largest score."""
    pairs = zip(first, second, strict=True)
    return max(float(np.abs(a - b).max(initial=0) / max(np.abs(a).max(initial=0), 1e-30)) for a, b in pairs)


if __name__ == "__main__":
    sys.exit(main())
