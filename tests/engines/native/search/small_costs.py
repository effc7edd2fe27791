"""A small model of five ops, and costs of them."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

from quantize.engines.native.search.assignment import Costs
from quantize.engines.native.search.latency_model import LatencyModel
from quantize.engines.native.search.op_graph import FusedOp, OpGraph


def conv(name, inputs, output):
    return FusedOp(name, "Conv", (0,), (name,), tuple(inputs), output, moving=False)


# x -> a -> b -> d (add of b and c) -> e -> scores, with c from a as well
GRAPH = OpGraph(
    ops=(
        conv("a", ["x"], "ta"),
        conv("b", ["ta"], "tb"),
        conv("c", ["ta"], "tc"),
        conv("d", ["tb", "tc"], "td"),
        conv("e", ["td"], "scores"),
    ),
    image="x",
    scores="scores",
    elements={"x": 100, "ta": 80, "tb": 60, "tc": 60, "td": 40, "scores": 10},
    float_tensors=frozenset({"scores"}),
)
NAMES = [op.name for op in GRAPH.ops]
TIMES = st.lists(st.floats(1, 1000), min_size=5, max_size=5)
SENSITIVITIES = st.lists(st.floats(0, 1), min_size=5, max_size=5)


def costs(float_ns, int8_ns, weights, tensors, convert, fixed=frozenset(), crossing=0.0, alone=None):
    return Costs(
        graph=GRAPH,
        latency=LatencyModel(
            dict(zip(NAMES, float_ns, strict=True)),
            dict(zip(NAMES, int8_ns, strict=True)),
            convert,
            5.0,
            crossing_ns=crossing,
            alone_ns=alone or {},
        ),
        weights=dict(zip(NAMES, weights, strict=True)),
        tensors=dict(zip(["x", "ta", "tb", "tc", "td"], tensors, strict=True)),
        fixed=fixed,
    )


def every_assignment():
    return [frozenset(chosen) for size in range(6) for chosen in itertools.combinations(NAMES, size)]
