"""What a profile says: what gains least, what conversion costs, how near to the core's peak it comes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from quantize.measurement.machine.layer_shapes import ARITHMETIC_OPS, LayerKind
from quantize.measurement.operators.kinds import Kind
from quantize.measurement.operators.operator_times import ModelProfile, OperatorTime, Profile

# Products that take less of the fp32 model's time explain nothing.
_SHARE_THAT_MATTERS = 0.01


@dataclass(frozen=True)
class Gain:
    """One operator of the fp32 model, in both models.

    Attributes:
        origin: Its name.
        op_type: Its operator.
        baseline_ns: Its time in the fp32 model.
        candidate_ns: Its time in the quantized model.
        kind: What it is in the quantized model.
        expected_ns: What it is expected to take in int8: a product what its kind gains at the peaks, and at most its
            fp32 time, for it can stay in fp32; anything else its fp32 time.
        shape_note: What in its shape makes int8 gain little, if anything.
        layer: What kind of layer a product is, where that is known.
        multiply_adds: Of a product, where they are known.
        fp32_bytes: Of a product's weights, input and result, where they are known.
        reason: Why it is in fp32 in the quantized model, or requantizes; None for others.
    """

    origin: str
    op_type: str
    baseline_ns: float
    candidate_ns: float
    kind: str
    expected_ns: float
    shape_note: str | None
    layer: LayerKind | None = None
    multiply_adds: int | None = None
    fp32_bytes: int | None = None
    reason: str | None = None

    @property
    def lost_ns(self) -> float:
        """Return the time beyond what is expected, at least zero."""
        return max(0.0, self.candidate_ns - self.expected_ns)

    @property
    def ratio(self) -> float:
        """Return fp32 time over int8 time."""
        return self.baseline_ns / self.candidate_ns


@dataclass(frozen=True)
class Cost:
    """All nodes of one operator that only convert.

    Attributes:
        op_type: The operator.
        nodes: How many there are.
        time_ns: Their time together.
        reason: Why they are there, where that is known.
    """

    op_type: str
    nodes: int
    time_ns: float
    reason: str | None

    @property
    def label(self) -> str:
        """Return the operator, with the number of nodes where there are several."""
        return self.op_type if self.nodes == 1 else f"{self.op_type} ({self.nodes})"


@dataclass(frozen=True)
class Reached:
    """How near one kind of arithmetic comes to the core's peak.

    Attributes:
        multiply_adds: Of all products of this kind.
        time_ns: That they take.
        peak: Multiply-adds a second at best.
    """

    multiply_adds: int
    time_ns: float
    peak: float

    @property
    def rate(self) -> float:
        """Return multiply-adds a second."""
        return self.multiply_adds * 1e9 / self.time_ns

    @property
    def share(self) -> float:
        """Return the fraction of the peak."""
        return self.rate / self.peak


def gains(profile: Profile) -> tuple[Gain, ...]:
    """Return every operator of the fp32 model that runs as such in both models, in the order of the fp32 model."""
    before, after = _by_origin(profile.baseline), _by_origin(profile.candidate)
    typical = typical_gain(profile)
    found = []
    for origin, nodes in before.items():
        if origin not in after:
            continue
        baseline, candidate = (sum(node.time_ns for node in side) for side in (nodes, after[origin]))
        if candidate <= 0 or baseline <= 0:
            continue
        first, last = nodes[0], after[origin][0]
        op_type = first.origin_op or first.op_type
        gain = _expected_gain(profile, first, typical) if op_type in ARITHMETIC_OPS else 1.0
        found.append(
            Gain(
                origin,
                op_type,
                baseline,
                candidate,
                last.kind,
                baseline / gain,
                first.shape_note,
                first.layer,
                first.multiply_adds,
                first.fp32_bytes,
                last.reason,
            )
        )
    return tuple(found)


def expected_gain(profile: Profile) -> float | None:
    """Return what the products of both models are expected to gain together; None without products in common."""
    products = [gain for gain in gains(profile) if gain.op_type in ARITHMETIC_OPS]
    expected = sum(gain.expected_ns for gain in products)
    return sum(gain.baseline_ns for gain in products) / expected if products else None


def _expected_gain(profile: Profile, operator: OperatorTime, typical: float | None) -> float:
    """Return what a product is expected to gain: by the peaks, in older profiles as the typical product does."""
    if profile.peaks is not None and operator.layer is not None:
        return max(1.0, profile.peaks.of(operator.layer).gain)
    return typical or 1.0


def product_gains(profile: Profile) -> tuple[Gain, ...]:
    """Return the convolutions and matrix products that take at least 1 % of the fp32 model's time, least gain first."""
    least = _SHARE_THAT_MATTERS * profile.baseline.run_ns
    products = (gain for gain in gains(profile) if gain.op_type in ARITHMETIC_OPS and gain.baseline_ns >= least)
    return tuple(sorted(products, key=lambda gain: gain.ratio))


def typical_gain(profile: Profile) -> float | None:
    """Return the median of the products' gains, weighted by their fp32 times; None without products in common."""
    before, after = _by_origin(profile.baseline), _by_origin(profile.candidate)
    pairs = [
        (sum(node.time_ns for node in nodes), sum(node.time_ns for node in after[origin]))
        for origin, nodes in before.items()
        if origin in after and nodes[0].origin_op in ARITHMETIC_OPS
    ]
    ratios = sorted((baseline / candidate, baseline) for baseline, candidate in pairs if candidate > 0)
    if not ratios:
        return None
    weights = np.cumsum([weight for _, weight in ratios])
    return ratios[int(np.searchsorted(weights, weights[-1] / 2))][0]


def conversions(model: ModelProfile) -> tuple[Cost, ...]:
    """Return what a model's conversions cost, by operator and reason, dearest first."""
    return _costs(model, "conversion")


def stayed_float(model: ModelProfile) -> tuple[Cost, ...]:
    """Return what the fp32 operators of a quantized model cost, by operator and reason, dearest first."""
    return _costs(model, "fp32")


def reached(profile: Profile, model: ModelProfile) -> dict[str, Reached]:
    """Return, for ``int8`` and ``fp32``, what the products of that kind in a model reach; kinds without any left out.

    The multiply-adds are those that the fp32 model's operator needs: what a rewrite or padding adds is not counted.
    """
    found = {}
    for kind, peak in (("int8", profile.peak.int8), ("fp32", profile.peak.fp32)):
        products = [node for node in model.operators if node.kind == kind and node.multiply_adds]
        counts = {node.origin: node.multiply_adds or 0 for node in products}
        if products:
            found[kind] = Reached(sum(counts.values()), sum(node.time_ns for node in products), peak)
    return found


def short_name(origin: str, op_type: str) -> str:
    """Return an operator's name without what exporters put around it: ``/block/Conv`` of a Conv is ``block``."""
    return origin.removeprefix("/").removesuffix(f"/{op_type}") or origin


def _costs(model: ModelProfile, kind: Kind) -> tuple[Cost, ...]:
    found: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for operator in model.operators:
        if operator.kind == kind:
            op_type = operator.origin_op or operator.op_type.removeprefix("QLinear")
            found[op_type, operator.reason].append(operator.time_ns)
    costs = (Cost(op_type, len(times), sum(times), reason) for (op_type, reason), times in found.items())
    return tuple(sorted(costs, key=lambda cost: -cost.time_ns))


def _by_origin(model: ModelProfile) -> dict[str, list[OperatorTime]]:
    found: dict[str, list[OperatorTime]] = defaultdict(list)
    for operator in model.operators:
        if operator.origin is not None:
            found[operator.origin].append(operator)
    return dict(found)
