"""How far are layers from what their grids predict?

Run: python -m benchmarks.layer_check [--engine native] [--first 0] [--count 150] [--json] [RUN...]

Without runs, random networks grow from seeds (``tests/vocabulary``) and are quantized with every layer in int8, with
every rewrite. Printed is the ratio of error to prediction of all their layers, in quantiles, and the layers that are
over what is allowed, by seed. With runs, of ``quantize tune``, what their reports say.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from quantize.data.batches import Batch
from quantize.engines.engine import engine_named
from quantize.evaluation.layer_check import LayerFinding, check_layers
from quantize.evaluation.layer_check.prediction import ALLOWED
from quantize.recipe import EngineName, Recipe
from quantize.report.storage import read_report
from tests.vocabulary.engines import NATIVE, by_neural_compressor, by_onnxruntime, natively
from tests.vocabulary.forks import neural_compressor_in_forks
from tests.vocabulary.growth import random_plan
from tests.vocabulary.quantized import Built, sample, written

ENGINES: dict[EngineName, tuple[Built, Recipe]] = {
    "native": (natively(), NATIVE),
    "ort": (by_onnxruntime, Recipe(engine="ort")),
    "inc": (by_neural_compressor, Recipe(engine="inc")),
}
_IMAGES = 4


def findings(seed: int, engine: EngineName) -> list[LayerFinding]:
    """Return what is found for every layer of both files of a random network."""
    build, recipe = ENGINES[engine]
    with TemporaryDirectory() as folder:
        given = sample(random_plan(seed).model(), Path(folder))
        made = written(given, build, Path(folder))
        size = given.prepared.contract.fixed_batch or _IMAGES
        images = [batch[:_IMAGES] if size == _IMAGES else batch for batch in given.images[: max(_IMAGES // size, 1)]]
        batches = [Batch(tuple(map(str, range(len(batch)))), batch, None) for batch in images]
        reference = engine_named(engine).reference(given.prepared.proto(), recipe)
        found = check_layers(lambda: reference, {"int8": made.qlinear, "qdq": made.qdq}, batches, corrected=True)
    return [finding for own in found.values() for finding in own]


def of_random_networks(engine: EngineName, seeds: Sequence[int]) -> Iterator[tuple[int, list[LayerFinding]]]:
    """Yield the findings of one network after another; what cannot be quantized at all is another check's matter."""
    for seed in seeds:
        try:
            yield seed, findings(seed, engine)
        except Exception as error:  # noqa: BLE001 - benchmarks/random_graphs.py looks for these
            print(f"{seed}: {type(error).__name__}", file=sys.stderr)


def main() -> int:
    """Run, print, and return 1 if a layer is over what is allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--engine", choices=ENGINES, default="native")
    parser.add_argument("--first", type=int, default=0, help="seed of the first network")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    for run in given.runs:
        check = read_report(run / "report.json").layer_check
        worst = check.worst if check is not None else None
        print(f"{run.name}: {len(check.checked) if check else 0} layers, worst {worst}")
    if given.runs:
        return 0
    ratios: list[float] = []
    worst_of: dict[int, LayerFinding] = {}
    with neural_compressor_in_forks() if given.engine == "inc" else nullcontext():
        for seed, found in of_random_networks(given.engine, range(given.first, given.first + given.count)):
            ratios += [finding.ratio for finding in found]
            if found:
                worst_of[seed] = max(found, key=lambda finding: finding.ratio)
    wrong = {seed: finding for seed, finding in worst_of.items() if finding.wrong}
    quantiles = {f"{share:g}": float(np.quantile(ratios, share)) for share in (0.5, 0.9, 0.99, 0.999, 1.0)}
    result = {
        "engine": given.engine,
        "networks": len(worst_of),
        "layers": len(ratios),
        "quantiles": quantiles,
        "over": {str(seed): f"{own.layer} {own.op_type} {own.ratio:.2f}" for seed, own in wrong.items()},
        "allowed": ALLOWED,
    }
    print(json.dumps(result, indent=None if given.json else 1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
