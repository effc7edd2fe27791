"""Block ``model``: what is tuned, and the format that is asked for first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from quantize.config.block import Block
from quantize.config.values import Text


class ModelBlock(Block):
    """The model and the format of the quantized one."""

    name: Text | None = Field(default=None, description="What reports call the model.")
    framework: Literal["onnxrt_qlinearops", "onnxrt_qdq"] = Field(
        default="onnxrt_qlinearops",
        description="The format that --output_model FILE.onnx holds; the other is written beside it.",
    )
