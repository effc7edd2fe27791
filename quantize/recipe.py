"""The recipe of a quantized model, independent of its format."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from quantize.provenance import fingerprint

EngineName = Literal["inc", "native", "ort"]
"""The engines; see ``quantize.engines.engine``."""

_LATER = frozenset({"stored_nodes", "uint8_nodes"})


class Recipe(BaseModel):
    """One way to quantize one model: schemes, ranges, ops kept in fp32, corrections, rewrites.

    Attributes:
        engine: The engine that builds it.
        activation_type: Type of quantized activations.
        weight_type: Type of quantized weights.
        per_channel: Weights have one scale per output channel.
        symmetric_activations: The activations' zero point is fixed.
        reduce_range: Weights use 7 bits (for CPUs without VNNI).
        range_rule: The rule that turns a tensor's statistics into a range, where ``range_rules`` names no other.
        range_rules: (tensor, rule) for tensors with a rule of their own, sorted by tensor.
        float_nodes: Names of nodes kept in fp32, sorted.
        float_op_types: Op types kept in fp32, sorted.
        stored_nodes: Of the nodes kept in fp32, those whose weights are stored in int8 and computed in fp32, sorted.
        uint8_nodes: Of the other nodes, those with weights of uint8, whose products cannot saturate, sorted.
        corrections: Corrections applied to the weights and biases, in order.
        rewrites: Names of the graph rewrites applied, in order.
        details: What an engine needs beyond that to build the model again, as sorted (key, JSON text) pairs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: EngineName
    activation_type: Literal["uint8", "int8"] = "uint8"
    weight_type: Literal["uint8", "int8"] = "int8"
    per_channel: bool = True
    symmetric_activations: bool = False
    reduce_range: bool = False
    range_rule: str = "minmax"
    range_rules: tuple[tuple[str, str], ...] = ()
    float_nodes: tuple[str, ...] = ()
    float_op_types: tuple[str, ...] = ()
    stored_nodes: tuple[str, ...] = ()
    uint8_nodes: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    rewrites: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """Return twelve hexadecimal digits: the same fields, the same id."""
        fields = self.model_dump(mode="json")
        # Ids in reports and latency tables that are older than a field hold where it says nothing.
        return fingerprint({name: value for name, value in fields.items() if value or name not in _LATER})[:12]

    def but(self, **changes: Any) -> Recipe:
        """Return this recipe with some fields changed, checked again."""
        return Recipe.model_validate({**self.model_dump(), **changes})
