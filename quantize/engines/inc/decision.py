"""Neural Compressor's decision for every op, converted to a recipe and back."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from quantize.graph.nodes import INTEGER_WEIGHTED
from quantize.recipe import Recipe

_PROPERTIES = ("dtype", "scheme", "granularity", "algorithm")


@dataclass(frozen=True)
class OpDecision:
    """How one op is built.

    Attributes:
        name: The op's name in the optimized fp32 graph.
        op_type: Its type there.
        activation: Its activations' (property, value) pairs; dtype ``fp32`` where the op stays in float.
        weight: Its weights' pairs; empty where the op has none.
    """

    name: str
    op_type: str
    activation: tuple[tuple[str, str], ...]
    weight: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_state(cls, name: str, op_type: str, state: Mapping[str, Mapping[str, Any]]) -> OpDecision:
        """Return the decision in one op's entry of a tuning configuration."""

        def pairs(tensor: str) -> tuple[tuple[str, str], ...]:
            entry = state.get(tensor, {})
            return tuple((key, str(entry[key])) for key in _PROPERTIES if entry.get(key) is not None)

        return cls(name, op_type, pairs("activation"), pairs("weight"))

    @property
    def quantized(self) -> bool:
        """Return whether the op leaves float."""
        return self.property("activation", "dtype") != "fp32"

    def property(self, tensor: str, name: str) -> str | None:
        """Return one property of ``activation`` or ``weight``, or None if the op has no such thing."""
        return dict(self.activation if tensor == "activation" else self.weight).get(name)

    def constraint(self) -> dict[str, dict[str, list[str]]]:
        """Return the constraint that leaves Neural Compressor no other choice."""
        parts = {"activation": self.activation, "weight": self.weight}
        return {tensor: {key: [value] for key, value in pairs} for tensor, pairs in parts.items() if pairs}


def recipe_of(
    decisions: Sequence[OpDecision],
    *,
    container: Literal["qlinear", "qdq"],
    reduce_range: bool,
    calibration_images: int,
) -> Recipe:
    """Return the recipe that builds exactly this tuning configuration again.

    Args:
        decisions: One for every op that Neural Compressor can quantize, in its order.
        container: The format that the ops are quantized for: Neural Compressor quantizes other ops in QDQ.
        reduce_range: Weights use 7 bits.
        calibration_images: Number of images that the ranges come from.
    """
    quantized = [op for op in decisions if op.quantized]
    types = {op.op_type for op in decisions}
    grouped: dict[str, list[str]] = defaultdict(list)
    for op in decisions:
        grouped[_signature(op)].append(op.name)
    weights = [op for op in quantized if op.op_type in INTEGER_WEIGHTED]
    rules = Counter(op.property("activation", "algorithm") or "minmax" for op in quantized)
    details = {
        "calibration_images": calibration_images,
        "format": container,
        "ops": [[signature, names] for signature, names in grouped.items()],
    }
    return Recipe(
        engine="inc",
        activation_type="int8" if _all(quantized, "activation", "dtype", "int8") else "uint8",
        weight_type="uint8" if _all(weights, "weight", "dtype", "uint8") else "int8",
        per_channel=any(op.property("weight", "granularity") == "per_channel" for op in weights),
        symmetric_activations=_all(quantized, "activation", "scheme", "sym"),
        reduce_range=reduce_range,
        range_rule=min(rules, key=lambda rule: (-rules[rule], rule)) if rules else "minmax",
        float_nodes=tuple(sorted(op.name for op in decisions if not op.quantized)),
        float_op_types=tuple(sorted(types - {op.op_type for op in quantized})),
        details=tuple((key, json.dumps(details[key], separators=(",", ":"))) for key in sorted(details)),
    )


def decisions_of(recipe: Recipe) -> list[OpDecision]:
    """Return the decision for every op of a recipe made by ``recipe_of``.

    Raises:
        ValueError: The recipe is another engine's.
    """
    decisions = []
    for signature, names in _detail(recipe, "ops"):
        op_type, activation, weight = signature.split(" ")
        decisions += [OpDecision(name, op_type, _pairs(activation), _pairs(weight)) for name in names]
    return decisions


def calibration_images_of(recipe: Recipe) -> int:
    """Return how many images the recipe's ranges come from."""
    return int(_detail(recipe, "calibration_images"))


def container_of(recipe: Recipe) -> Literal["qlinear", "qdq"]:
    """Return the format that the recipe's ops are quantized for."""
    return "qdq" if _detail(recipe, "format") == "qdq" else "qlinear"


@dataclass(frozen=True)
class KeptInt8:
    """How much of what could be quantized is quantized.

    Attributes:
        ops: Quantized ops.
        all_ops: Ops that Neural Compressor can quantize, those that the settings keep in fp32 included.
        weighted: Quantized Conv, MatMul and Gemm.
        all_weighted: Conv, MatMul and Gemm in all.
    """

    ops: int
    all_ops: int
    weighted: int
    all_weighted: int


def kept_int8(recipe: Recipe) -> KeptInt8:
    """Return how much of what could be quantized a recipe of this engine quantizes."""
    decisions = decisions_of(recipe)
    weighted = [op for op in decisions if op.op_type in INTEGER_WEIGHTED]
    return KeptInt8(
        ops=sum(op.quantized for op in decisions),
        all_ops=len(decisions),
        weighted=sum(op.quantized for op in weighted),
        all_weighted=len(weighted),
    )


def exact_op_names(recipe: Recipe) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Return the ``op_name_dict`` that leaves Neural Compressor only this recipe to build."""
    return {re.escape(op.name): op.constraint() for op in decisions_of(recipe)}


def _detail(recipe: Recipe, key: str) -> Any:
    if recipe.engine != "inc":
        raise ValueError(f"the recipe {recipe.id} is of the engine {recipe.engine}, not of inc")
    return json.loads(dict(recipe.details)[key])


def _all(ops: Sequence[OpDecision], tensor: str, name: str, value: str) -> bool:
    return bool(ops) and all(op.property(tensor, name) == value for op in ops)


def _signature(op: OpDecision) -> str:
    """Return e.g. ``Conv dtype=uint8,scheme=asym dtype=int8,...``; ``-`` where an op has no weights."""

    def text(pairs: tuple[tuple[str, str], ...]) -> str:
        return ",".join(f"{key}={value}" for key, value in pairs) or "-"

    return f"{op.op_type} {text(op.activation)} {text(op.weight)}"


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    if text == "-":
        return ()
    return tuple((key, value) for key, _, value in (pair.partition("=") for pair in text.split(",")))
