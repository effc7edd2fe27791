"""How near int8 is to fp32, correction by correction, and which layers carry the error.

    python benchmarks/nearness.py NETWORK.onnx --data_path IMAGES [--corrections rounding,bias] [--layers 20]

Every op computes in int8, without a search: 100 images calibrate, some others judge. Printed is the SQNR of the scores,
the median over the images, for each `--corrections` given; with `--layers`, also the ops whose weights, and the tensors
whose grids, alone move the scores most, by mean KL and as a share of the sum over all.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.calibration.channel_ranges import collect_channel_ranges
from quantize.data.batches import Batch
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.preprocessing import PRESETS
from quantize.data.split import split
from quantize.engines.native.builder.activation_grids import COMMON_GRIDS
from quantize.engines.native.builder.builder import op_types_of, source_graph
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.builder.qdq import FLOAT_OUTPUTS
from quantize.engines.native.builder.smoothable import smoothable
from quantize.engines.native.builder.smoothing import SMOOTHING, smoothing_factors, with_smoothing
from quantize.engines.native.builder.weights import CORRECTIONS
from quantize.engines.native.search.changed_weights import ChangedWeights
from quantize.engines.native.search.op_graph import head_ops, op_graph
from quantize.engines.native.search.scorer import Scorer
from quantize.engines.native.search.sensitivity import measure_sensitivity
from quantize.engines.native.search.source_graph import SourceGraph
from quantize.engines.task import CalibrationSet
from quantize.models.artifact import ModelArtifact
from quantize.models.prepare import prepare
from quantize.models.weights_apart import weights_apart
from quantize.recipe import Recipe
from quantize.rewrites.registry import apply_rewrites, select_rewrites

_SEED = 1978
_SENSITIVITY_IMAGES = 8


def main() -> None:
    """Print a line for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="imagenet")
    parser.add_argument("--calibration", type=int, default=100)
    parser.add_argument("--evaluation", type=int, default=50)
    parser.add_argument("--rule", default="percentile:99.999")
    parser.add_argument("--corrections", action="append", help="separated by commas; several times for several recipes")
    parser.add_argument("--rewrites", action="append", help="after those, candidates with these, one after the other")
    parser.add_argument("--common_grids", action="store_true", help="one for a Concat and its inputs")
    parser.add_argument("--layers", type=int, default=0, help="how many of the most sensitive are printed")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        model = prepare(given.network, Path(folder) / "fp32.onnx")
        calibration, evaluation = images(given, model, Path(folder))
        scorer = Scorer(model, [evaluation], most=given.evaluation, threads=2)
        sources: dict[str, SourceGraph] = {}
        for text in given.corrections or [""]:
            recipe = all_int8(model, calibration, given, [name for name in text.split(",") if name])
            graph = partial(source_graph, model, recipe)
            key = ",".join(name for name in recipe.corrections if name in (SMOOTHING, "equalization"))
            if key not in sources:
                sources[key] = SourceGraph(graph, calibration, Path(folder), moment_images=64, threads=2)
            source = sources[key]
            candidate = source.builder().graph(model, recipe, source.statistics("all"))
            words = ",".join(recipe.corrections) or "no corrections"
            print(f"{given.network.stem}: {nearness(scorer, candidate)}, {words}", flush=True)
            for rewrites in given.rewrites or []:
                rewritten = apply_rewrites(candidate, [rewrite.name for rewrite in select_rewrites(rewrites)])
                print(f"  {nearness(scorer, rewritten)}, rewritten: {rewrites}", flush=True)
            source.release()
        if given.layers:
            print_layers(model, source, recipe, evaluation, given.layers)


def nearness(scorer: Scorer, candidate: ModelProto) -> str:
    """Return how near a candidate's scores are to fp32's, in words."""
    near = scorer.fidelity(candidate)
    decibel = 10 * np.log10(np.median(near.signal / np.maximum(near.noise, 1e-30)))
    return f"{decibel:.2f} dB, KL {near.mean_kl:.4f}"


def images(given: argparse.Namespace, model: ModelArtifact, folder: Path) -> tuple[CalibrationSet, Batch]:
    """Return the calibration images and those that judge."""
    preprocessing = PRESETS[given.preset].for_input_size(*(model.contract.image_size or (None, None)))
    crops = crop_images(
        open_images(given.data_path, None, classes=model.contract.classes), preprocessing, folder / "crops"
    )
    parts = split(
        crops.ids, calibration_size=given.calibration, in_evaluation=False, certification_share=0.0, seed=_SEED
    )
    first, second = crops.subset(parts.calibration), crops.subset(parts.evaluation[: given.evaluation])

    def batch(part: Crops, at: range) -> Batch:
        values: NDArray[np.float32] = preprocessing.normalize(np.stack([part.array[each] for each in at]))
        return Batch(tuple(part.ids[each] for each in at), values, None)

    starts = range(0, len(first), 8)
    batches = [batch(first, range(start, min(start + 8, len(first)))) for start in starts]
    return CalibrationSet(batches, len(first), f"{given.data_path}{given.calibration}"), batch(
        second, range(len(second))
    )


def all_int8(
    model: ModelArtifact, calibration: CalibrationSet, given: argparse.Namespace, corrections: list[str]
) -> Recipe:
    """Return the recipe with every op in int8 but those behind the last product."""
    graph = source_graph(model.proto(), Recipe(engine="native"))
    head = head_ops(op_graph(graph, op_types_of(Recipe(engine="native"))), {layer.node for layer in layers(graph)})
    kept = tuple(name for name in CORRECTIONS if name in corrections and name != SMOOTHING)
    recipe = Recipe(
        engine="native",
        range_rule=given.rule,
        corrections=kept,
        float_nodes=tuple(sorted(head)),
        details=((COMMON_GRIDS, json.dumps(given.common_grids)), (FLOAT_OUTPUTS, "true")),
    )
    if SMOOTHING not in corrections:
        return recipe
    axes = {smooth.tensor: smooth.axis for smooth in smoothable(graph)}
    ranges = collect_channel_ranges(graph, axes, list(calibration.batches)[:4], threads=2)
    return with_smoothing(recipe, smoothing_factors(graph, ranges))


def print_layers(model: ModelArtifact, source: SourceGraph, recipe: Recipe, evaluation: Batch, most: int) -> None:
    """Print what quantizing each op's weights, and each tensor, alone does to the scores."""
    weights, grids = source.builder().quantized_weights(model, recipe, source.statistics("all"))
    source.release()
    with weights_apart(source.graph) as apart:
        found = measure_sensitivity(
            apart,
            op_graph(source.graph, op_types_of(recipe)),
            ChangedWeights(weights.changed(source.graph), weights.added_biases),
            grids,
            Scorer(model, [evaluation], most=_SENSITIVITY_IMAGES, threads=2),
            fixed_batch=model.contract.fixed_batch,
        )
    kinds = {node.name: node.op_type for node in source.graph.graph.node}
    kinds |= {output: node.op_type for node in source.graph.graph.node for output in node.output}
    both = [("weights", *pair) for pair in found.weights.items()] + [("grid", *pair) for pair in found.tensors.items()]
    whole = sum(value for _, _, value in both)
    for side in ("weights", "grid"):
        part = sum(value for kind, _, value in both if kind == side)
        print(f"  {side}: {part:.4f} of {whole:.4f}")
    for kind, name, value in sorted(both, key=lambda entry: -entry[2])[:most]:
        print(f"  {value / whole:6.1%} {value:.5f} {kind} {kinds.get(name, 'input')} {name}", flush=True)


if __name__ == "__main__":
    main()
