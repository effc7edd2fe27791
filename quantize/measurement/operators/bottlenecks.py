"""Where a quantized model loses most time, and what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quantize.graph.nodes import ACTIVATIONS, WEIGHTED
from quantize.measurement.operators.operator_times import OperatorTime, Profile
from quantize.measurement.operators.speedups import OperatorSpeedup, operator_speedups, short_name
from quantize.rewrites.common_scales import COMMON_SCALES
from quantize.rewrites.pool_before_activation import POOL_BEFORE_ACTIVATION
from quantize.rewrites.space_to_depth import SPACE_TO_DEPTH
from quantize.rewrites.stem_moves import STEM_MOVES

_SHARE_THAT_MATTERS = 0.01
_SHORT = 22
_DEPTHWISE = "depthwise"
_ACTIVATIONS = (*ACTIVATIONS, "LeakyRelu")
_WITHOUT_NEIGHBOUR = {
    "BiasGelu": "Gelu",
    "FastGelu": "Gelu",
    "SkipLayerNormalization": "LayerNormalization",
    "SkipSimplifiedLayerNormalization": "SimplifiedLayerNormalization",
}
"""Nodes that onnxruntime gives names of their own, as they take an Add in that stands beside: what else computes it."""
_Remedy = tuple[str, str, str | None]
"""What an operator is, what to do about it, and the name of the rewrite that does it, if any."""


@dataclass(frozen=True)
class Bottleneck:
    """An operator that takes longer than expected, or one that only the quantized model has.

    Attributes:
        what: The operator or operators.
        why: What they are, in a few words.
        fp32_ns: Their time in the fp32 model; 0 for what it does not have.
        int8_ns: Their time in the quantized model.
        expected_ns: What they are expected to take there: by this CPU's peaks, or what they take in fp32.
        advice: What to do.
        rewrite: Name of the rewrite that was made for it, if there is one.
    """

    what: str
    why: str
    fp32_ns: float
    int8_ns: float
    expected_ns: float
    advice: str
    rewrite: str | None = None

    @property
    def excess_ns(self) -> float:
        """Return the time beyond the expected one."""
        return self.int8_ns - self.expected_ns


def bottlenecks(profile: Profile) -> tuple[Bottleneck, ...]:
    """Return what takes at least 1 % of the quantized model's time more than expected, the largest excess first."""
    rewritten = any(STEM_MOVES & {node.op_type, *node.name.split("_")} for node in profile.candidate.operators)
    candidates = [*_own(operator_speedups(profile), profile, rewritten=rewritten), *_added(profile)]
    least = _SHARE_THAT_MATTERS * profile.candidate.run_ns
    return tuple(sorted((each for each in candidates if each.excess_ns >= least), key=lambda each: -each.excess_ns))


def _own(speedups: Sequence[OperatorSpeedup], profile: Profile, *, rewritten: bool) -> Iterator[Bottleneck]:
    """Yield a bottleneck for each operator of the fp32 model, or for several.

    All depthwise layers are one together, and so are the conversions of an operator type, and operators of a type
    whose excess is small.
    """
    least = _SHARE_THAT_MATTERS * profile.candidate.run_ns
    groups: dict[tuple[str, ...], list[OperatorSpeedup]] = defaultdict(list)
    for operator in speedups:
        kind = operator.int8.kind
        if operator.op_type not in WEIGHTED:
            alone = kind != "conversion" and operator.excess_ns >= least
            key: tuple[str, ...] = (operator.op_type, kind, operator.int8.reason or "", operator.name if alone else "")
        elif operator.fp32.shape_note == _DEPTHWISE and kind == "int8":
            key = (_DEPTHWISE, operator.op_type)
        else:
            key = ("product", operator.name)
        groups[key].append(operator)
    for alike in groups.values():
        yield _bottleneck(alike, profile, rewritten=rewritten)


def _bottleneck(alike: Sequence[OperatorSpeedup], profile: Profile, *, rewritten: bool) -> Bottleneck:
    first = alike[0]
    name = short_name(first.name, first.op_type)
    if len(alike) == 1:
        what = name if name == first.op_type else f"{name} ({first.op_type})"
    elif first.fp32.shape_note == _DEPTHWISE:
        what = f"{len(alike)} depthwise {first.op_type}"
    else:
        what = f"{len(alike)} {first.op_type}"
    before, after = sum(operator.fp32_ns for operator in alike), sum(operator.int8_ns for operator in alike)
    why, advice, rewrite = _remedy(first, profile, slower=after > before, rewritten=rewritten)
    return Bottleneck(what, why, before, after, sum(operator.expected_ns for operator in alike), advice, rewrite)


def _remedy(operator: OperatorSpeedup, profile: Profile, *, slower: bool, rewritten: bool) -> _Remedy:
    if operator.op_type in WEIGHTED:
        return _product_remedy(operator, profile, slower=slower, rewritten=rewritten)
    if operator.int8.kind == "conversion":
        rewrite = COMMON_SCALES.name if operator.op_type == "Concat" else None
        what = "requantizes" if operator.op_type == "Concat" else "only converts"
        advice = f"apply rewrite {rewrite}" if rewrite else "keep its neighbours in the same type"
        return ", ".join(filter(None, (what, operator.int8.reason))), advice, rewrite
    if operator.int8.kind == "fp32":
        return ", ".join(filter(None, ("in fp32", operator.int8.reason))), "keep the layers after it in fp32 too", None
    if operator.op_type == "MaxPool" and _follows_a_float_product(profile, operator.name):
        name = POOL_BEFORE_ACTIVATION.name
        return "no fast int8 kernel", f"apply rewrite {name}", name
    return _unlike_fp32(operator.op_type)


def _unlike_fp32(op_type: str) -> _Remedy:
    """Return what to do about an operator without weights that is slower in int8, by no rewrite."""
    if op_type == "MaxPool":
        return "no fast int8 kernel", "leave it and the layer before it in fp32", None
    return "slower in int8", "leave it and its neighbours in fp32", None


def _follows_a_float_product(profile: Profile, origin: str) -> bool:
    """Return whether a product in fp32 ran before an operator, not counting activations and what was added."""
    before = []
    for node in profile.candidate.operators:
        if node.origin == origin:
            break
        added = node.kind == "conversion" and node.origin is None
        if not added and (node.origin_op or node.op_type) not in _ACTIVATIONS:
            before.append(node)
    return bool(before) and before[-1].kind == "fp32" and before[-1].origin_op in WEIGHTED


def _product_remedy(operator: OperatorSpeedup, profile: Profile, *, slower: bool, rewritten: bool) -> _Remedy:
    fp32, int8 = operator.fp32, operator.int8
    if int8.kind != "int8":
        reason = "" if int8.reason is None or len(int8.reason) > _SHORT else f", {int8.reason}"
        return f"in fp32{reason}", "quantize it and the layers after it, if accuracy allows", None
    if fp32.shape_note not in (None, _DEPTHWISE) and not rewritten:
        name = SPACE_TO_DEPTH.name
        return fp32.shape_note or "", f"apply rewrite {name}, or leave it in fp32", name
    note = fp32.shape_note or "int8"
    if slower:
        return f"{note}, slower than fp32", "leave it in fp32 (--placement measured)", None
    if fp32.layer is None or profile.peaks is None or not fp32.multiply_adds:
        return note, "nothing: int8 suits other shapes better", None
    share = fp32.multiply_adds * 1e9 / profile.peaks.of(fp32.layer).int8 / operator.int8_ns
    return note, f"nothing: int8 reaches {100 * share:.0f} % of its peak on this shape", None


def _added(profile: Profile) -> Iterator[Bottleneck]:
    """Yield a bottleneck for each operator type of nodes that no node of the other model computes.

    Fp32 has some of these types too: what its own such nodes take is expected of int8.
    """
    before: dict[str, list[OperatorTime]] = defaultdict(list)
    after: dict[str, list[OperatorTime]] = defaultdict(list)
    sides = ((profile.baseline, profile.candidate, before), (profile.candidate, profile.baseline, after))
    for model, other, by_type in sides:
        theirs = {node.origin for node in other.operators}
        for node in model.operators:
            if node.origin is None or node.origin not in theirs:
                op_type = (node.origin_op or node.op_type).removeprefix("QLinear").removeprefix("Nhwc")
                by_type[_WITHOUT_NEIGHBOUR.get(op_type, op_type)].append(node)
    for op_type, nodes in after.items():
        fp32_ns = sum(node.time_ns for node in before[op_type])
        what = op_type if len(nodes) == 1 else f"{len(nodes)} {op_type}"
        if nodes[0].kind == "conversion":
            why, advice = "only converts", "keep neighbours in the same type: fewer conversions"
        elif fp32_ns:
            why, advice, _ = _unlike_fp32(op_type)
            why = ", ".join(filter(None, (why, nodes[0].reason)))
        else:
            why = ", ".join(filter(None, ("not in the fp32 model", nodes[0].reason)))
            advice = "nothing: quantization needs it here"
        yield Bottleneck(what, why, fp32_ns, sum(node.time_ns for node in nodes), fp32_ns, advice)
