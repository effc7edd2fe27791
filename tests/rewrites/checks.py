"""Checks that apply to every rewrite."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.formats.parameters import is_dequantize
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Rewrite
from tests.formats.small_graphs import run

Feeds = dict[str, NDArray[Any]]


def apply(rewrite: Rewrite, model: ModelProto) -> tuple[list[str], ModelProto]:
    """Return the names that a rewrite changed and the canonical graph after it, its promises checked."""
    before = canonical(model)
    graph = Graph(before)
    names = list(rewrite.apply(graph))
    after = graph.model()
    if not names:
        assert after.SerializeToString(deterministic=True) == before.SerializeToString(deterministic=True)
    else:
        assert list(rewrite.broken(Graph(after), names)) == []
        assert list(rewrite.apply(Graph(after))) == []
    return names, after


def forms(model: ModelProto) -> tuple[ModelProto, ModelProto]:
    """Return both formats, checked."""
    both = to_qlinear(model), to_qdq(model)
    for form in both:
        onnx.checker.check_model(form, full_check=True)
    return both


def assert_declared(rewrite: Rewrite, before: ModelProto, after: ModelProto, feeds: Feeds) -> None:
    """Check the scores of both formats against what the rewrite declares."""
    for old, new in zip(forms(before), forms(after), strict=True):
        assert [value.name for value in new.graph.input] == [value.name for value in old.graph.input]
        assert new.graph.output == old.graph.output
        for expected, scores in zip(*(run(model, feeds) for model in (old, new)), strict=True):
            _assert_declared(rewrite, expected, scores, step=_largest_scale(old))


def _largest_scale(model: ModelProto) -> float:
    """Return the largest step of a model's outputs that are dequantized; 0.01 if there are none."""
    graph = Graph(model)
    makers = [graph.producer(name) for name in graph.outputs]
    scales = [graph.constant(node.input[1]) for node in makers if is_dequantize(node) and node is not None]
    return max((float(np.max(scale)) for scale in scales if scale is not None), default=0.01)


def _assert_declared(rewrite: Rewrite, expected: NDArray[Any], scores: NDArray[Any], *, step: float) -> None:
    if rewrite.declares.kind == "exact":
        np.testing.assert_array_equal(scores, expected)
    else:
        # Scores of a few 8-bit steps in all are noise already: no share of them can be promised. How large a step is
        # tells the graph: scores that are all rounded to one value do not.
        steps = np.diff(np.unique(expected))
        size = max(float(np.sqrt(np.mean(expected**2))), 10 * float(steps.min(initial=0.1)), 10 * step)
        assert np.sqrt(np.mean((scores - expected) ** 2)) <= rewrite.declares.within * size


def assert_untouched(rewrite: Rewrite, model: ModelProto) -> None:
    """Check that a rewrite leaves a graph as it is, to the byte."""
    names, _ = apply(rewrite, model)
    assert names == []


def integer_types(model: ModelProto) -> list[str]:
    """Return the op types of the QLinear form, in order."""
    return [node.op_type for node in to_qlinear(model).graph.node]
