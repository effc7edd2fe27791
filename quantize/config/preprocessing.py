"""Block ``preprocessing``: from an image file to the model's input."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from quantize.config.block import Block
from quantize.config.values import Count, Factor, PositiveTriple, Triple


class PreprocessingBlock(Block):
    """A preset, and the parts that replace the preset's; None leaves a part to the preset.

    A pixel becomes ``(value * scale - mean) / std``, channels in RGB order, value 0-255; the swap to BGR comes last.
    """

    preset: Literal["caffe", "imagenet", "efficientnet_lite"] | None = Field(
        default=None, description="Named preprocessing; where it is left out, the one of a known model."
    )
    resize: Count | None = Field(default=None, description="Pixels of the side that is resized to.")
    resize_mode: Literal["square", "shorter"] | None = Field(
        default=None, description="Resize both sides (square), or the shorter one, aspect ratio kept (shorter)."
    )
    crop: Count | None = Field(default=None, description="Pixels of the side of the square cut from the centre.")
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] | None = Field(
        default=None, description="How resizing computes a pixel."
    )
    channel_order: Literal["RGB", "BGR"] | None = Field(default=None, description="The model's channel order.")
    scale: Factor | None = Field(default=None, description="What a pixel, 0-255, is multiplied with first.")
    mean: Triple | None = Field(default=None, description="What is subtracted then.")
    std: PositiveTriple | None = Field(default=None, description="What it is divided by then.")

    @model_validator(mode="after")
    def _crop_fits(self) -> PreprocessingBlock:
        if self.crop is not None and self.resize is not None and self.crop > self.resize:
            raise ValueError(f"`crop` ({self.crop}) is larger than `resize` ({self.resize})")
        return self

    def given(self) -> dict[str, object]:
        """Return the parts that are set, by name."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
