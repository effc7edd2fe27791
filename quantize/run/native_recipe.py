"""What the constraints of the configuration leave to the native engine."""

from __future__ import annotations

import re

from onnx import ModelProto

from quantize.config.quantization import OpConstraint, QuantizationBlock
from quantize.engines.native.builder.weights import NARROW_WHERE_NEEDED
from quantize.errors import ConfigError
from quantize.recipe import Recipe

_RULES = {"minmax": "minmax", "kl": "entropy", "percentile": "percentile:99.999"}
WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Op types that do the work."""


def constrained_recipe(model: ModelProto, settings: QuantizationBlock, rewrites: tuple[str, ...]) -> Recipe:
    """Return the recipe that a search starts from: what ``op_wise`` and ``optype_wise`` keep in fp32 stays there.

    Raises:
        ConfigError: A constraint that this engine does not know, or that names no node.
    """
    nodes: set[str] = set()
    for pattern, constraint in settings.op_wise.items():
        _require_fp32(f"quantization.op_wise.{pattern}", constraint)
        named = {node.name for node in model.graph.node if _matches(pattern, node.name)}
        if not named:
            raise ConfigError(
                "no node has this name",
                where=f"quantization.op_wise.{pattern}",
                expected="a node's name, or a regular expression that matches one",
                advice="list the names with `quantize inspect MODEL`",
            )
        nodes |= named
    for name, constraint in settings.optype_wise.items():
        _require_fp32(f"quantization.optype_wise.{name}", constraint)
    return Recipe(
        engine="native",
        reduce_range=settings.narrow_weights,
        details=((NARROW_WHERE_NEEDED, "true"),) if settings.narrow_weights else (),
        float_nodes=tuple(sorted(nodes)),
        float_op_types=tuple(sorted(settings.optype_wise)),
        rewrites=rewrites,
    )


def range_rule(settings: QuantizationBlock) -> str | None:
    """Return the range rule that the configuration fixes, or None where the engine chooses.

    Raises:
        ConfigError: ``model_wise`` asks for what this engine does not do.
    """
    given = settings.model_wise.lists()
    algorithms = given.get("activation", {}).pop("algorithm", [])
    left = {side: parts for side, parts in given.items() if parts}
    if left:
        raise ConfigError(
            "the native engine takes only the activations' algorithm from model_wise",
            where="quantization.model_wise",
            found=", ".join(f"{side}.{key}" for side, parts in left.items() for key in parts),
            expected="activation.algorithm: minmax, kl or percentile",
            advice="leave the rest out, or use --engine inc",
        )
    return _RULES[algorithms[0]] if len(algorithms) == 1 else None


def weighted_nodes(model: ModelProto) -> frozenset[str]:
    """Return the names of the nodes with weights that do the work."""
    return frozenset(node.name for node in model.graph.node if node.op_type in WEIGHTED)


def _matches(pattern: str, name: str) -> bool:
    if pattern == name:
        return True
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return False


def _require_fp32(where: str, constraint: OpConstraint) -> None:
    dtypes = [parts.get("dtype", []) for parts in constraint.lists().values()]
    if not dtypes or any(dtype != ["fp32"] for dtype in dtypes):
        raise ConfigError(
            "the native engine takes only dtype fp32 as a constraint on ops",
            where=where,
            expected="{activation: {dtype: [fp32]}, weight: {dtype: [fp32]}}",
            advice="leave the rest out, or use --engine inc",
        )
