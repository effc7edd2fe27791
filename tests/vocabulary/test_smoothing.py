"""Smoothing keeps the function of networks that were not made for it, whatever the factors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from quantize.engines.native.builder.builder import source_graph
from quantize.engines.native.builder.smoothable import Smoothable, smoothable
from quantize.engines.native.builder.smoothing import with_smoothing
from quantize.graph.view import Graph
from quantize.recipe import Recipe
from quantize.rewrites.runner import scores
from tests.vocabulary.growth import random_plan
from tests.vocabulary.quantized import sample

RECIPE = Recipe(engine="native")


def channels(graph: Graph, smooth: Smoothable) -> int:
    name, position, axis = smooth.parameters[0]
    node = graph.node(name)
    values = None if node is None else graph.constant(node.input[position])
    assert values is not None
    return int(values.shape[axis])


def test_any_network_is_the_same_function_with_any_factors(tmp_path: Path) -> None:
    rng, smoothed = np.random.default_rng(5), 0
    for seed in range(24):
        drawn = sample(random_plan(seed).model(), tmp_path)
        source = source_graph(drawn.prepared.proto(), RECIPE)
        graph = Graph.of(source)
        letters = {
            smooth.tensor: "".join(chr(ord("m") + power) for power in rng.integers(-6, 7, channels(graph, smooth)))
            for smooth in smoothable(source)
        }
        smoothed += len(letters)
        changed = source_graph(drawn.prepared.proto(), with_smoothing(RECIPE, json.dumps(letters)))
        expected = scores(source, drawn.images)
        assert scores(changed, drawn.images) == pytest.approx(expected, rel=1e-3, abs=1e-4 * np.abs(expected).max())
    assert smoothed > 5
