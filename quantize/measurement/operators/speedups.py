"""The speed-up of each operator in int8, the cost of conversions, and how close arithmetic comes to the peak rates."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from quantize.graph.nodes import WEIGHTED
from quantize.measurement.operators.kinds import Kind
from quantize.measurement.operators.operator_times import ModelProfile, OperatorTime, Profile


@dataclass(frozen=True)
class OperatorSpeedup:
    """One operator of the fp32 model, in both models. An operator may run as several nodes.

    Attributes:
        fp32: The first node of the fp32 model that computes it.
        int8: The first node of the quantized model that computes it.
        fp32_ns: Its time in the fp32 model.
        int8_ns: Its time in the quantized model.
        expected_ns: Its expected time in int8. For a product, its fp32 time over the gain of its kind at the peaks, at
            most its fp32 time since it can stay in fp32; for anything else, its fp32 time.
    """

    fp32: OperatorTime
    int8: OperatorTime
    fp32_ns: float
    int8_ns: float
    expected_ns: float

    @property
    def name(self) -> str:
        """Return the name of the fp32 model's node, or that of the node that ran."""
        return self.fp32.origin or self.fp32.name

    @property
    def op_type(self) -> str:
        """Return the operator type of the fp32 model's node."""
        return self.fp32.origin_op or self.fp32.op_type

    @property
    def excess_ns(self) -> float:
        """Return the time beyond the expected one, at least zero."""
        return max(0.0, self.int8_ns - self.expected_ns)

    @property
    def ratio(self) -> float:
        """Return fp32 time over int8 time."""
        return self.fp32_ns / self.int8_ns


@dataclass(frozen=True)
class Cost:
    """All nodes of one operator type and one reason.

    Attributes:
        op_type: The operator.
        nodes: How many there are.
        time_ns: Their time together.
        reason: Why they convert or stayed in fp32, where that is known.
    """

    op_type: str
    nodes: int
    time_ns: float
    reason: str | None

    @property
    def label(self) -> str:
        """Return the operator, with the number of nodes if there are several."""
        return self.op_type if self.nodes == 1 else f"{self.op_type} ({self.nodes})"


@dataclass(frozen=True)
class ArithmeticRate:
    """The rate of the products of one kind of arithmetic, against the peak rate.

    Attributes:
        multiply_adds: Of all products of this kind.
        time_ns: That they take.
        peak_rate: Multiply-adds a second at best.
    """

    multiply_adds: int
    time_ns: float
    peak_rate: float

    @property
    def rate(self) -> float:
        """Return multiply-adds a second."""
        return self.multiply_adds * 1e9 / self.time_ns

    @property
    def share(self) -> float:
        """Return the fraction of the peak rate."""
        return self.rate / self.peak_rate


def operator_speedups(profile: Profile) -> tuple[OperatorSpeedup, ...]:
    """Return every operator of the fp32 model that runs as such in both models, in the order of the fp32 model."""
    before, after = profile.baseline.by_origin(), profile.candidate.by_origin()
    typical = typical_speedup(profile)
    speedups = []
    for origin, nodes in before.items():
        if origin not in after:
            continue
        fp32_ns, int8_ns = (sum(node.time_ns for node in side) for side in (nodes, after[origin]))
        if fp32_ns <= 0 or int8_ns <= 0:
            continue
        is_product = (nodes[0].origin_op or nodes[0].op_type) in WEIGHTED
        expected = _expected_speedup(profile, nodes[0], typical) if is_product else 1.0
        speedups.append(OperatorSpeedup(nodes[0], after[origin][0], fp32_ns, int8_ns, fp32_ns / expected))
    return tuple(speedups)


def expected_speedup(profile: Profile) -> float | None:
    """Return the speed-up expected of all products together; None if the models have none in common."""
    products = [operator for operator in operator_speedups(profile) if operator.op_type in WEIGHTED]
    expected = sum(product.expected_ns for product in products)
    return sum(product.fp32_ns for product in products) / expected if products else None


def _expected_speedup(profile: Profile, operator: OperatorTime, typical: float | None) -> float:
    """Return the speed-up expected of a product: by the peaks; in older profiles, that of the typical product."""
    if profile.peaks is not None and operator.layer is not None:
        return max(1.0, profile.peaks.of(operator.layer).gain)
    return typical or 1.0


def typical_speedup(profile: Profile) -> float | None:
    """Return the median speed-up of products, weighted by fp32 time; None if the models have none in common."""
    before, after = profile.baseline.by_origin(), profile.candidate.by_origin()
    pairs = [
        (sum(node.time_ns for node in nodes), sum(node.time_ns for node in after[origin]))
        for origin, nodes in before.items()
        if origin in after and nodes[0].origin_op in WEIGHTED
    ]
    ratios = sorted((baseline / candidate, baseline) for baseline, candidate in pairs if candidate > 0)
    if not ratios:
        return None
    weights = np.cumsum([weight for _, weight in ratios])
    return ratios[int(np.searchsorted(weights, weights[-1] / 2))][0]


def costs(model: ModelProfile, kind: Kind) -> tuple[Cost, ...]:
    """Return what a model's operators of a kind take, by operator and reason, the most expensive first."""
    times_of: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for operator in model.operators:
        if operator.kind == kind:
            op_type = operator.origin_op or operator.op_type.removeprefix("QLinear")
            times_of[op_type, operator.reason].append(operator.time_ns)
    sums = (Cost(op_type, len(times), sum(times), reason) for (op_type, reason), times in times_of.items())
    return tuple(sorted(sums, key=lambda cost: -cost.time_ns))


def arithmetic_rates(profile: Profile, model: ModelProfile) -> dict[str, ArithmeticRate]:
    """Return, for ``int8`` and ``fp32``, what the products of that kind in a model reach; kinds without any left out.

    The multiply-adds are those that the fp32 model's operator needs: what a rewrite or padding adds is not counted.
    """
    rates = {}
    for kind, best in (("int8", profile.peak.int8), ("fp32", profile.peak.fp32)):
        products = [node for node in model.operators if node.kind == kind and node.multiply_adds]
        counts = {node.origin: node.multiply_adds or 0 for node in products}
        if products:
            rates[kind] = ArithmeticRate(sum(counts.values()), sum(node.time_ns for node in products), best)
    return rates


def short_name(origin: str, op_type: str) -> str:
    """Return an operator's name without what exporters put around it: ``/block/Conv`` of a Conv is ``block``."""
    return origin.removeprefix("/").removesuffix(f"/{op_type}") or origin
