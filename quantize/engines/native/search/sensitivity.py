"""How quantizing one op alone changes the scores, with its weights and its output measured separately.

The graph is passed through once. At every op the op alone runs with its quantized weights, then with its output rounded
to its grid, and from there only what lies behind it runs, on tensors that the pass kept; so an op near the end costs
next to nothing. Scores are compared by KL divergence from the fp32 model's, of which the mean of the roots counts, as
where recipes are compared: few images near a decision make most of the mean itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.calibration.one_ahead import one_ahead
from quantize.engines.native.search.changed_weights import ChangedWeights
from quantize.engines.native.search.live_tensors import most_values
from quantize.engines.native.search.op_graph import OpGraph
from quantize.engines.native.search.scorer import Scorer
from quantize.engines.native.search.single_op_pass import Measured, SingleOpPass
from quantize.grid.grid import Grid
from quantize.models.weights_apart import WeightsApart, bytes_of_constants
from quantize.progress import Progress, silent

_MICRO_BATCH = 2
_CHUNK_BYTES, _TIMES_WEIGHTS, _LARGEST_CHUNK = 25_000_000, 2, 180_000_000
"""Bound on the tensors that one point of the pass keeps: so much and twice the weights, at most the last; so many
images go through it together. Each group of them opens all sessions anew, which takes long for large models only."""


@dataclass(frozen=True)
class Sensitivity:
    """KL(fp32 || changed) in nats over the images: the square of its mean root.

    Attributes:
        weights: By op: with its weights and bias quantized and corrected, everything else in fp32.
        tensors: By tensor: with this tensor on its grid, everything else in fp32.
        images: How many images were scored.
        uint8_weights: As ``weights``, of ops whose weights can be of type uint8 also, with those.
    """

    weights: Mapping[str, float]
    tensors: Mapping[str, float]
    images: int
    uint8_weights: Mapping[str, float]


def measure_sensitivity(
    apart: WeightsApart,
    graph: OpGraph,
    weights: ChangedWeights,
    grids: Mapping[str, Grid],
    scorer: Scorer,
    *,
    fixed_batch: int | None,
    uint8_weights: ChangedWeights | None = None,
    progress: Progress = silent,
) -> Sensitivity:
    """Return the sensitivity of every op's weights and of every tensor that an op computes.

    Args:
        apart: The fp32 model (equalized, where the recipe says so).
        graph: Its ops.
        weights: Of the all-quantized candidate.
        grids: Grids by tensor.
        scorer: The images and the reference scores.
        fixed_batch: The batch size that the model insists on, or None.
        uint8_weights: Of the same candidate with weights of type uint8, for the ops that can have them.
        progress: Called after every op.
    """
    model = apart.model
    kinds = {"weights": weights} if uint8_weights is None else {"weights": weights, "uint8 weights": uint8_weights}
    divergences: dict[tuple[str, str], list[float]] = {}
    images = scorer.images
    bytes_of_image = 4 * max(most_values(model, graph), 1)
    most = min(_CHUNK_BYTES + _TIMES_WEIGHTS * bytes_of_constants(model), _LARGEST_CHUNK)
    chunk = max(_MICRO_BATCH, min(len(images), most // bytes_of_image))
    chunk = -(-len(images) // -(-len(images) // chunk))  # as many passes, each of as many images
    if fixed_batch is not None:
        chunk = max(chunk // fixed_batch, 1) * fixed_batch
    size, only_whole = fixed_batch or _MICRO_BATCH, fixed_batch is not None
    for start in range(0, len(images), chunk):
        part = slice(start, start + chunk)
        single = SingleOpPass(apart, graph, kinds, grids, scorer, part, size, only_whole=only_whole)
        for key, of_images in one_ahead(_computed, single.measured(progress)):
            divergences.setdefault(key, []).extend(of_images)
    means = {key: mean_of_roots(of_images) for key, of_images in divergences.items()}
    return Sensitivity(
        weights={name: value for (kind, name), value in means.items() if kind == "weights"},
        tensors={name: value for (kind, name), value in means.items() if kind == "tensor"},
        images=len(images),
        uint8_weights={name: value for (kind, name), value in means.items() if kind == "uint8 weights"},
    )


def _computed(measured: Measured) -> tuple[tuple[str, str], list[float]]:
    key, divergences = measured
    return key, divergences()


def mean_of_roots(divergences: Sequence[float]) -> float:
    """Return the square of the mean of the images' roots, in nats; what rounding leaves below zero is zero."""
    return float(np.sqrt(np.maximum(divergences, 0.0)).mean() ** 2)
