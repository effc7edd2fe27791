"""The settings of onnxruntime's quantizer to try, within the limits of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quantize.config.quantization import QuantizationBlock
from quantize.engines.constraints import kept_in_float
from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.search.op_graph import head_ops, op_graph
from quantize.engines.ort.quantizer import excluding
from quantize.engines.task import BuildTask
from quantize.errors import ConfigError
from quantize.formats.float_reasons import float_reasons
from quantize.grid.ranges.registry import rule_of_setting
from quantize.recipe import Recipe

_SETTABLE = {
    "activation": {"algorithm": ("minmax", "percentile", "kl"), "scheme": ("asym", "sym"), "dtype": ("uint8", "int8")},
    "weight": {"granularity": ("per_channel", "per_tensor"), "scheme": ("sym",), "dtype": ("int8", "uint8")},
}


def settings_to_try(task: BuildTask) -> tuple[list[Recipe], list[dict[str, Any]]]:
    """Return the recipes to begin with, and the changes to try on the best so far, each in order.

    The recipes differ in the rule for ranges. What follows the last layer with weights stays in float: it costs
    little, and in int8 it makes equal scores.

    Raises:
        ConfigError: The configuration asks for what the quantizer does not do.
    """
    quantization, model = task.quantization, task.model.proto()
    nodes, op_types = kept_in_float(model, quantization, "the engine ort")
    algorithms, schemes, activations = (_allowed(quantization, "activation", key) for key in _SETTABLE["activation"])
    granularities, _, weights = (_allowed(quantization, "weight", key) for key in _SETTABLE["weight"])
    if "dtype" not in quantization.model_wise.lists().get("activation", {}) and quantization.cpus != "arm64":
        activations = ["uint8"]  # on x86, int8 activations have no kernels as fast
    forms = _weight_forms(quantization, weights)
    base = Recipe(
        engine="ort",
        activation_type=activations[0],
        per_channel=granularities[0] == "per_channel",
        symmetric_activations=schemes[0] == "sym",
        float_op_types=op_types,
        **forms[0],
    )
    head = head_ops(op_graph(model, op_types_of(base)), {layer.node for layer in layers(model)})
    stay = float_reasons(model, op_types_of(base), activation_type=base.activation_type, weight_type=base.weight_type)
    own = [name for name, reason in stay.items() if reason.kind != "operator" or reason.op_type in op_types_of(base)]
    base = excluding(base, [*nodes, *head, *own])
    changes: list[dict[str, Any]] = [*forms[1:]]
    changes += [{"activation_type": name} for name in activations[1:]]
    changes += [{"symmetric_activations": name == "sym"} for name in schemes[1:]]
    changes += [{"per_channel": name == "per_channel"} for name in granularities[1:]]
    return [base.but(range_rule=rule_of_setting(name)) for name in algorithms], changes


def _weight_forms(settings: QuantizationBlock, allowed: Sequence[str]) -> list[dict[str, Any]]:
    """Return type and width of weights: where sums must stay within 16 bits, int8 of 7 bits, or uint8."""
    narrow = settings.narrow_weights
    forms = [{"weight_type": name, "reduce_range": narrow and name == "int8"} for name in allowed]
    explicit = "dtype" in settings.model_wise.lists().get("weight", {})
    return forms if explicit or (narrow and not settings.reduce_range) else forms[:1]


def _allowed(settings: QuantizationBlock, side: str, key: str) -> list[str]:
    """Return the values of a setting in the order in which they are tried.

    Raises:
        ConfigError: ``model_wise`` allows none that the quantizer has.
    """
    known = _SETTABLE[side][key]
    given = settings.model_wise.lists().get(side, {}).get(key)
    allowed = [value for value in known if given is None or value in given]
    if not allowed:
        raise ConfigError(
            f"the engine ort cannot make the {side}'s {key} so",
            where=f"quantization.model_wise.{side}.{key}",
            found=", ".join(given or ()),
            expected=" or ".join(known),
            advice="leave it out, or use --engine inc",
        )
    return allowed
