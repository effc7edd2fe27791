"""What a quantized model loses time to, the dearest first, and what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quantize.measurement.machine.layer_shapes import ARITHMETIC_OPS
from quantize.measurement.operators.operator_times import OperatorTime, Profile
from quantize.measurement.operators.shape_notes import DEPTHWISE
from quantize.measurement.operators.speedups import Gain, gains, short_name
from quantize.rewrites.common_scales import COMMON_SCALES
from quantize.rewrites.pool_before_activation import POOL_BEFORE_ACTIVATION
from quantize.rewrites.space_to_depth import SPACE_TO_DEPTH

_SHARE_THAT_MATTERS = 0.01
# The operator, or part of the names of those that stand for it in QDQ.
_SPACE_TO_DEPTH_OP = "SpaceToDepth"
_SHORT = 22
_ACTIVATIONS = ("Relu", "Clip", "LeakyRelu")


@dataclass(frozen=True)
class Loss:
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
    def lost_ns(self) -> float:
        """Return the time beyond what is expected."""
        return self.int8_ns - self.expected_ns


def losses(profile: Profile) -> tuple[Loss, ...]:
    """Return every loss of at least 1 % of the quantized model's time: what costs most of the difference first."""
    rewritten = any(_SPACE_TO_DEPTH_OP in (node.op_type, *node.name.split("_")) for node in profile.candidate.operators)
    found = [*_own(gains(profile), profile, rewritten=rewritten), *_added(profile)]
    least = _SHARE_THAT_MATTERS * profile.candidate.run_ns
    return tuple(sorted((loss for loss in found if loss.lost_ns >= least), key=lambda loss: -loss.lost_ns))


def _own(found: Sequence[Gain], profile: Profile, *, rewritten: bool) -> Iterator[Loss]:
    """Yield a loss for each operator of the fp32 model.

    All depthwise layers are one, and so are conversions of an operator, and small losses of operators alike.
    """
    least = _SHARE_THAT_MATTERS * profile.candidate.run_ns
    groups: dict[tuple[str, ...], list[Gain]] = defaultdict(list)
    for gain in found:
        if gain.op_type not in ARITHMETIC_OPS:
            alone = gain.kind != "conversion" and gain.lost_ns >= least
            groups[gain.op_type, gain.kind, gain.reason or "", gain.origin if alone else ""].append(gain)
        elif gain.shape_note == DEPTHWISE and gain.kind == "int8":
            groups[DEPTHWISE, gain.op_type].append(gain)
        else:
            groups["product", gain.origin].append(gain)
    for alike in groups.values():
        yield _loss(alike, profile, rewritten=rewritten)


def _loss(alike: Sequence[Gain], profile: Profile, *, rewritten: bool) -> Loss:
    first, many = alike[0], len(alike) > 1
    name = short_name(first.origin, first.op_type)
    if not many:
        what = name if name == first.op_type else f"{name} ({first.op_type})"
    elif first.shape_note == DEPTHWISE:
        what = f"{len(alike)} depthwise {first.op_type}"
    else:
        what = f"{len(alike)} {first.op_type}"
    before, after = sum(gain.baseline_ns for gain in alike), sum(gain.candidate_ns for gain in alike)
    why, advice, rewrite = _remedy(first, before, after, profile, rewritten=rewritten)
    return Loss(what, why, before, after, sum(gain.expected_ns for gain in alike), advice, rewrite)


def _remedy(
    gain: Gain, before_ns: float, after_ns: float, profile: Profile, *, rewritten: bool
) -> tuple[str, str, str | None]:
    """Return what an operator is, what to do about it, and the rewrite that does it, if one does."""
    slower = after_ns > before_ns
    if gain.op_type in ARITHMETIC_OPS:
        return _product_remedy(gain, profile, slower=slower, rewritten=rewritten)
    if gain.kind == "conversion":
        rewrite = COMMON_SCALES.name if gain.op_type == "Concat" else None
        what = "requantizes" if gain.op_type == "Concat" else "only converts"
        advice = f"rewrite {rewrite}" if rewrite else "join the int8 parts beside it"
        return ", ".join(filter(None, (what, gain.reason))), advice, rewrite
    if gain.kind == "fp32":
        return ", ".join(filter(None, ("in fp32", gain.reason))), "keep what follows it in fp32 as well", None
    if gain.op_type == "MaxPool":
        if _behind_a_float_product(profile, gain.origin):
            name = POOL_BEFORE_ACTIVATION.name
            return "generic code in int8", f"rewrite {name}", name
        return "generic code in int8", "leave it in fp32, with what it reads", None
    return "slower in int8", "leave it in fp32, with what stands beside it", None


def _behind_a_float_product(profile: Profile, origin: str) -> bool:
    """Return whether what ran before an operator, but for what was added and activations, is a product in fp32."""
    before = []
    for node in profile.candidate.operators:
        if node.origin == origin:
            break
        added = node.kind == "conversion" and node.origin is None
        if not added and (node.origin_op or node.op_type) not in _ACTIVATIONS:
            before.append(node)
    return bool(before) and before[-1].kind == "fp32" and before[-1].origin_op in ARITHMETIC_OPS


def _product_remedy(gain: Gain, profile: Profile, *, slower: bool, rewritten: bool) -> tuple[str, str, str | None]:
    if gain.kind != "int8":
        reason = "" if gain.reason is None or len(gain.reason) > _SHORT else f", {gain.reason}"
        return f"in fp32{reason}", "quantize it and what reads it, if accuracy allows", None
    first_layer = gain.shape_note is not None and gain.shape_note != DEPTHWISE
    if first_layer and not rewritten:
        return gain.shape_note or "", f"rewrite {SPACE_TO_DEPTH.name}, or leave it in fp32", SPACE_TO_DEPTH.name
    note = gain.shape_note or "int8"
    if slower:
        return f"{note}, slower than fp32", "leave it in fp32 (--placement measured)", None
    if gain.layer is None or profile.peaks is None or not gain.multiply_adds:
        return note, "nothing: other shapes suit int8 better", None
    share = gain.multiply_adds * 1e9 / profile.peaks.of(gain.layer).int8 / gain.candidate_ns
    return note, f"nothing: in its shape int8 reaches {share:.0%} of its peak", None


def _added(profile: Profile) -> Iterator[Loss]:
    """Yield a loss for each operator type that quantization or onnxruntime added; fp32 has some of these too."""
    before: dict[str, list[OperatorTime]] = defaultdict(list)
    after: dict[str, list[OperatorTime]] = defaultdict(list)
    own = {node.origin for node in profile.baseline.operators}
    for operators, found in ((profile.baseline.operators, before), (profile.candidate.operators, after)):
        for node in operators:
            if node.origin is None or node.origin not in own:
                found[(node.origin_op or node.op_type).removeprefix("QLinear")].append(node)
    for op_type, nodes in after.items():
        fp32_ns = sum(node.time_ns for node in before[op_type])
        what = op_type if len(nodes) == 1 else f"{len(nodes)} {op_type}"
        if nodes[0].kind == "conversion":
            why, advice = "only converts", "fewer borders: let neighbours compute alike"
        else:
            why = ", ".join(filter(None, ("not in the fp32 model", nodes[0].reason)))
            advice = "keep it from being added"
        yield Loss(what, why, fp32_ns, sum(node.time_ns for node in nodes), fp32_ns, advice)
