"""The ops that ``op_wise`` and ``optype_wise`` keep in float, for engines that support no other constraint."""

from __future__ import annotations

import re

from onnx import ModelProto

from quantize.config.quantization import OpConstraint, QuantizationBlock
from quantize.errors import ConfigError


def kept_in_float(
    model: ModelProto, settings: QuantizationBlock, engine: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the nodes, and the op types, that the configuration keeps in fp32, each sorted.

    Args:
        model: The prepared fp32 model.
        settings: The configuration.
        engine: The engine, for errors.

    Raises:
        ConfigError: A constraint that asks for something else than fp32, or that names no node.
    """
    nodes: set[str] = set()
    for pattern, constraint in settings.op_wise.items():
        _require_fp32(f"quantization.op_wise.{pattern}", constraint, engine)
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
        _require_fp32(f"quantization.optype_wise.{name}", constraint, engine)
    return tuple(sorted(nodes)), tuple(sorted(settings.optype_wise))


def asked_in_float(model: ModelProto, settings: QuantizationBlock) -> frozenset[str]:
    """Return the names of the nodes that the configuration keeps in fp32, in whichever engine's dialect it is written.

    Neural Compressor knows a Gemm by the name of the MatMul that it makes of it.

    Args:
        model: The prepared fp32 model.
        settings: The configuration.
    """
    by_name = [pattern for pattern, constraint in settings.op_wise.items() if _is_fp32(constraint)]
    by_type = [pattern for pattern, constraint in settings.optype_wise.items() if _is_fp32(constraint)]
    return frozenset(
        node.name
        for node in model.graph.node
        if any(_matches(pattern, node.name) or _matches(pattern, f"{node.name}_MatMul") for pattern in by_name)
        or any(_matches(pattern, node.op_type) for pattern in by_type)
    )


def _matches(pattern: str, name: str) -> bool:
    if pattern == name:
        return True
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return False


def _is_fp32(constraint: OpConstraint) -> bool:
    dtypes = [parts.get("dtype", []) for parts in constraint.lists().values()]
    return bool(dtypes) and all(dtype == ["fp32"] for dtype in dtypes)


def _require_fp32(where: str, constraint: OpConstraint, engine: str) -> None:
    if not _is_fp32(constraint):
        raise ConfigError(
            f"{engine} takes only dtype fp32 as a constraint on ops",
            where=where,
            expected="{activation: {dtype: [fp32]}, weight: {dtype: [fp32]}}",
            advice="leave the rest out, or use --engine inc",
        )
