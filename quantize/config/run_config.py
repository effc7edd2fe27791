"""All settings of a run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from quantize.config.document import dump
from quantize.config.quantization import QuantizationBlock
from quantize.config.tuning import TuningBlock
from quantize.config.values import (
    Block,
    Count,
    CountOrZero,
    Expected,
    Factor,
    Flag,
    Names,
    Place,
    PositiveTriple,
    Seconds,
    Size,
    Switch,
    Text,
    Triple,
)
from quantize.data.presets.registry import PresetName


class DataBlock(Block):
    """Where the images and labels are; paths are relative to the folder that the command runs in."""

    path: Annotated[Place | None, Flag("data_path")] = Field(default=None, description="Folder of images.")
    labels: Annotated[Place | None, Flag("label_path")] = Field(
        default=None,
        description="File with a line `name label` for each image (`name label label ...` where it may have several); "
        "class folders need none.",
    )
    calibration_list: Place | None = Field(
        default=None, description="File that names the calibration images, one a line, in place of a drawn sample."
    )


class ModelBlock(Block):
    """The model and the format of the quantized one."""

    name: Annotated[Text | None, Flag(None)] = Field(
        default=None, description="Accepted, since Neural Compressor's files have it; not used."
    )
    framework: Literal["onnxrt_qlinearops", "onnxrt_qdq"] = Field(
        default="onnxrt_qlinearops",
        description="The format that --output_model FILE.onnx holds; the other is written beside it.",
    )
    score_output: Text | None = Field(
        default=None,
        description="The output that holds the scores, where several could. The others stay as they are.",
    )
    requantize: Switch = Field(
        default=False,
        description="Remove the quantization that a model has, and tune it anew; else it is kept.",
    )
    max_memory: Size | None = Field(
        default=None,
        description="Memory limit for opening a model; by default 2 GB plus 6 times the file's size.",
    )
    opening_seconds: Seconds = Field(default=60, description="Time limit for opening a model.")


class PreprocessingBlock(Block):
    """A preset, and the parts that replace the preset's; None leaves a part to the preset.

    A pixel becomes ``(value * scale - mean) / std``, channels in RGB order, value 0-255; the swap to BGR comes last.
    """

    preset: PresetName | None = Field(
        default=None, description="Preprocessing by name; by default that of a known model."
    )
    resize: Count | None = Field(default=None, description="Size to resize to, in pixels.")
    resize_mode: Literal["square", "shorter"] | None = Field(
        default=None, description="Resize both sides (square), or the shorter one, aspect ratio kept (shorter)."
    )
    crop: Count | None = Field(default=None, description="Size of the centre crop, in pixels.")
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] | None = Field(
        default=None, description="Interpolation of the resize."
    )
    channel_order: Literal["RGB", "BGR", "L"] | None = Field(
        default=None, description="The model's channel order; L is one channel of grey."
    )
    scale: Factor | None = Field(default=None, description="Factor for pixel values 0 to 255, applied first.")
    mean: Triple | None = Field(default=None, description="Mean subtracted per channel.")
    std: PositiveTriple | None = Field(default=None, description="Standard deviation per channel.")

    @model_validator(mode="after")
    def _crop_fits(self) -> PreprocessingBlock:
        if self.crop is not None and self.resize is not None and self.crop > self.resize:
            raise ValueError(f"`crop` ({self.crop}) is larger than `resize` ({self.resize})")
        return self

    def given(self) -> dict[str, object]:
        """Return the parts that are set, by name."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class MetricBlock(Block):
    """The metric that decides."""

    topk: Annotated[Literal[1], Expected("1: top-1 decides, and top-5 is reported beside it", "1")] = Field(
        default=1, description="The metric that decides: top-1. Top-5 is always reported."
    )


class AccuracyBlock(Block):
    """How accuracy is measured."""

    metric: MetricBlock = MetricBlock()


class InstanceBlock(Block):
    """The cores that a benchmark uses."""

    cores_per_instance: Count = Field(default=1, description="Cores (and threads) per instance.")
    num_of_instance: Count = Field(default=1, description="Instances to run at once, each on its own cores.")


class PerformanceBlock(Block):
    """How speed is measured."""

    warmup: CountOrZero = Field(default=10, description="Inferences before timing starts.")
    iteration: Count = Field(default=1000, description="Timed inferences; past 1,000, precision may end it earlier.")
    max_seconds: Seconds = Field(default=120, description="Stop measuring speed after this long.")
    configs: InstanceBlock = InstanceBlock()


class EvaluationBlock(Block):
    """How accuracy and speed are measured."""

    accuracy: AccuracyBlock = AccuracyBlock()
    performance: PerformanceBlock = PerformanceBlock()


_SETS_OF_REWRITES = ("none", "default", "all")


def _version(value: Any) -> Any:
    """Read Neural Compressor's ``1``, ``1.0`` and ``'1.0'`` alike."""
    return "1.0" if value in (1, "1", "1.0") and not isinstance(value, bool) else value


def _one_set(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty list, and a set of rewrites next to other names."""
    if not names:
        raise ValueError("names nothing; `none` leaves all rewrites out")
    if len(names) > 1 and set(names) & set(_SETS_OF_REWRITES):
        raise ValueError("none, default and all stand alone")
    return names


class ReportBlock(Block):
    """What the report shows."""

    pictures: Switch = Field(
        default=True,
        description="Include thumbnails of flipped images, which may be private.",
    )


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
        default="as-is", description="Input of the quantized models: unchanged (as-is), normalized, or raw pixels."
    )
    report: ReportBlock = ReportBlock()
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
