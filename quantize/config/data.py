"""Block ``data``: the images and their labels."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from quantize.config.block import Block, Flag
from quantize.config.values import Place


class DataBlock(Block):
    """Where the images and labels are; paths are relative to the folder that the command runs in."""

    path: Annotated[Place | None, Flag("data_path")] = Field(default=None, description="Folder of images.")
    labels: Annotated[Place | None, Flag("label_path")] = Field(
        default=None, description="File with a line `name label` for each image; class folders need none."
    )
    calibration_list: Place | None = Field(
        default=None, description="File that names the calibration images, one a line, in place of a drawn sample."
    )
