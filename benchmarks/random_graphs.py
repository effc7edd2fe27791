"""The long run over random networks: does every engine keep their scores, in both formats?

Run: python -m benchmarks.random_graphs [--engine native] [--first 0] [--count 1000] [--json]

Networks grow from seeds over what users' networks are made of (``tests/vocabulary``), and are quantized with every
layer in int8. What ends in an error, is more than four times as far from fp32 as rounding every tensor by hand is, or
differs between the formats is made as small as it fails by the same, and printed as the plan that it grows from. The
exit code is 1 then. ``tests/vocabulary/test_random_graphs.py`` is the short one.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from quantize.recipe import EngineName
from tests.vocabulary.forks import neural_compressor_in_forks
from tests.vocabulary.growth import Plan, random_plan, simplest
from tests.vocabulary.verdict import problem_of


def problem(plan: Plan, engine: EngineName) -> str | None:
    """Return what an engine does wrong with a network, errors included; None where it does nothing wrong."""
    with TemporaryDirectory() as folder:
        try:
            return problem_of(plan, engine, Path(folder))
        except Exception as error:  # noqa: BLE001 - it is what the run looks for
            return f"{type(error).__name__}: {error}"


def kind(problem: str | None) -> str:
    """Return what problems of one kind have in common: their words, without the numbers and names in them."""
    return " ".join(word for word in (problem or "").split()[:8] if word.isalpha() or word.endswith(":"))


def fails_alike(found: str, engine: EngineName, plan: Plan) -> bool:
    """Return whether a network has a problem of the same kind as one that was found."""
    return kind(problem(plan, engine)) == kind(found)


def main() -> int:
    """Run, print what fails, and return 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=get_args(EngineName), default="native")
    parser.add_argument("--first", type=int, default=0, help="seed of the first network")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="print one JSON object, and make nothing smaller")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("error", RuntimeWarning)
    failed: dict[str, str] = {}
    with neural_compressor_in_forks() if given.engine == "inc" else nullcontext():
        for seed in range(given.first, given.first + given.count):
            found = problem(random_plan(seed), given.engine)
            if found is None:
                continue
            failed[str(seed)] = found
            if not given.json:
                print(f"{seed}: {found}", flush=True)
                plan = simplest(random_plan(seed), partial(fails_alike, found, given.engine))
                print(f"    {plan}\n    {problem(plan, given.engine)}", flush=True)
    if given.json:
        print(json.dumps({"networks": given.count, "failed": failed}))
    else:
        print(f"{given.count} networks, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
