"""All settings of a run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from quantize.config.block import Block, Expected, Flag
from quantize.config.data import DataBlock
from quantize.config.evaluation import EvaluationBlock
from quantize.config.model import ModelBlock
from quantize.config.preprocessing import PreprocessingBlock
from quantize.config.quantization import QuantizationBlock
from quantize.config.tuning import TuningBlock
from quantize.config.values import Names
from quantize.config.yaml_text import dump

_SETS_OF_REWRITES = ("none", "default", "all")


def _version(value: Any) -> Any:
    """Read Neural Compressor's ``1``, ``1.0`` and ``'1.0'`` alike."""
    return "1.0" if value in (1, "1", "1.0") and not isinstance(value, bool) else value


def _one_set(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse no name at all, and a set of rewrites beside other names."""
    if not names:
        raise ValueError("names nothing; `none` leaves all rewrites out")
    if len(names) > 1 and set(names) & set(_SETS_OF_REWRITES):
        raise ValueError("none, default and all stand alone")
    return names


class RunConfig(Block):
    """All settings of a run, resolved: what the file and the flags leave out has its default."""

    version: Annotated[Literal["1.0"], BeforeValidator(_version), Flag(None), Expected("1.0")] = "1.0"
    model: ModelBlock = ModelBlock()
    data: DataBlock = DataBlock()
    preprocessing: PreprocessingBlock = PreprocessingBlock()
    quantization: QuantizationBlock = QuantizationBlock()
    evaluation: EvaluationBlock = EvaluationBlock()
    tuning: TuningBlock = TuningBlock()
    rewrites: Annotated[
        Names,
        AfterValidator(_one_set),
        PlainSerializer(lambda names: names[0] if len(names) == 1 else list(names)),
        Expected("none, default, all, or names separated by commas", "NAME"),
    ] = Field(default=("default",), description="Rewrites of the quantized graph.")
    input_contract: Literal["as-is", "imagenet", "uint8-nchw", "uint8-nhwc"] = Field(
        default="as-is", description="The input that the quantized models take: as it is, or with pixels as they come."
    )
    notes: Annotated[tuple[str, ...], Flag(None), Expected("a list of texts")] = Field(
        default=(), description="What was read differently from how it was written, or not used."
    )

    def to_yaml(self) -> str:
        """Return a configuration file that loads again to an equal value; keys without a value are left out."""
        values = self.model_dump(mode="json", exclude_none=True)
        values["quantization"] = _without(values["quantization"], ({}, {"weight": {}, "activation": {}}))
        return dump(_without(values, ({}, [])))


def _without(values: dict[str, Any], saying_nothing: tuple[object, ...]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in saying_nothing}
