"""Which recipes the constraints of the configuration leave to the native engine."""

from __future__ import annotations

from onnx import ModelProto

from quantize.config.nearest import one_of
from quantize.config.quantization import QuantizationBlock
from quantize.engines.constraints import kept_in_float
from quantize.engines.native.builder.weight_scales import NARROW_WHERE_NEEDED
from quantize.errors import ConfigError
from quantize.grid.ranges.registry import rule_of_setting, setting_names
from quantize.recipe import Recipe


def constrained_recipe(model: ModelProto, settings: QuantizationBlock, rewrites: tuple[str, ...]) -> Recipe:
    """Return the recipe that a search starts from: what ``op_wise`` and ``optype_wise`` keep in fp32 stays there.

    Raises:
        ConfigError: A constraint that this engine does not know, or that names no node.
    """
    nodes, op_types = kept_in_float(model, settings, "the native engine")
    return Recipe(
        engine="native",
        reduce_range=settings.narrow_weights,
        details=((NARROW_WHERE_NEEDED, "true"),) if settings.narrow_weights else (),
        float_nodes=nodes,
        float_op_types=op_types,
        rewrites=rewrites,
    )


def range_rule(settings: QuantizationBlock) -> str | None:
    """Return the range rule that the configuration fixes, or None if the engine chooses.

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
            expected=f"activation.algorithm: {one_of(setting_names())}",
            advice="leave the rest out, or use --engine inc",
        )
    return rule_of_setting(algorithms[0]) if len(algorithms) == 1 else None
