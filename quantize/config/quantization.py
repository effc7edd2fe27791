"""Block ``quantization``: what the engine is allowed to do to the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from quantize.config.nearest import one_of
from quantize.config.values import Block, Count, Expected, Switch
from quantize.errors import ConfigError
from quantize.grid.ranges.registry import RULES, setting_names
from quantize.target import CpuClass, Target, must_not_saturate

if TYPE_CHECKING:
    RangeRuleName = str
else:
    RangeRuleName = Literal[setting_names()]
"""A range rule as settings name it."""


def _listed(value: Any) -> Any:
    """Read ``int8, fp32`` as a list of two, as Neural Compressor does."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class TensorConstraint(Block):
    """What an op's weights, or its activations, may become; a key that is left out does not restrict it."""

    granularity: Annotated[tuple[Literal["per_channel", "per_tensor"], ...], BeforeValidator(_listed)] | None = None
    scheme: Annotated[tuple[Literal["asym", "sym"], ...], BeforeValidator(_listed)] | None = None
    dtype: Annotated[tuple[Literal["int8", "uint8", "fp32"], ...], BeforeValidator(_listed)] | None = None
    algorithm: Annotated[tuple[RangeRuleName, ...], BeforeValidator(_listed)] | None = None


class OpConstraint(Block):
    """What an op may become."""

    weight: TensorConstraint = TensorConstraint()
    activation: TensorConstraint = TensorConstraint()

    def lists(self) -> dict[str, dict[str, list[str]]]:
        """Return the constraint without what does not restrict anything."""
        given = self.model_dump(exclude_none=True, mode="json")
        return {side: dict(constraint) for side, constraint in given.items() if constraint}

    def for_neural_compressor(self, where: str) -> dict[str, dict[str, list[str]]]:
        """Return the constraint as Neural Compressor takes it.

        Args:
            where: The setting, for the error.

        Raises:
            ConfigError: A range rule that Neural Compressor does not have.
        """
        theirs = [known.neural_compressor for known in RULES.values() if known.neural_compressor is not None]
        for side, constraint in self.lists().items():
            for name in constraint.get("algorithm", []):
                if name not in theirs:
                    raise ConfigError(
                        "Neural Compressor does not have this range rule",
                        where=f"{where}.{side}.algorithm",
                        found=name,
                        expected=one_of(theirs),
                        advice="take one of these, or --engine native",
                    )
        return self.lists()


OpConstraints = Annotated[
    Mapping[str, OpConstraint],
    Expected("a mapping from ops to their constraints, such as {conv1: {weight: {dtype: [fp32]}}}", "YAML"),
]


class CalibrationBlock(Block):
    """The images that activation ranges are taken from."""

    sampling_size: Count = Field(default=100, description="Number of calibration images, drawn at random.")
    in_evaluation: Switch = Field(
        default=False,
        description="Keep the calibration images in the evaluation set, as published 50,000-image figures do.",
    )


class QuantizationBlock(Block):
    """How the model is quantized."""

    approach: Literal["post_training_static_quant"] = Field(
        default="post_training_static_quant", description="Kind of quantization."
    )
    calibration: CalibrationBlock = CalibrationBlock()
    target: Target = Field(
        default="auto",
        description="CPUs that the models are for; auto: this machine's class. Models for vnni may saturate "
        "on CPUs without it.",
    )
    reduce_range: Switch = Field(
        default=False, description="Use 7 bits for weights whose sums could saturate, whatever the target."
    )
    model_wise: Annotated[
        OpConstraint, Expected("a constraint, such as {activation: {algorithm: [minmax, kl]}}", "YAML")
    ] = Field(default=OpConstraint(), description="Constraints on every op.")
    optype_wise: OpConstraints = Field(default_factory=dict, description="Constraints by op type.")
    op_wise: OpConstraints = Field(default_factory=dict, description="Constraints by node name or pattern.")

    @property
    def cpus(self) -> CpuClass:
        """The class of CPUs that the model is for.

        Raises:
            ValueError: The target is ``auto``, which has not been resolved to a class yet.
        """
        if self.target == "auto":
            raise ValueError("the target 'auto' has to be resolved to a class of CPUs first")
        return self.target

    @property
    def narrow_weights(self) -> bool:
        """Whether weights get 7 bits: two products of theirs stay within 16 bits."""
        return self.reduce_range or must_not_saturate(self.cpus)
