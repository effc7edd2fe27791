"""All named preprocessings; the configuration offers these."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from quantize.data.presets.caffe import CAFFE
from quantize.data.presets.efficientnet_lite import EFFICIENTNET_LITE
from quantize.data.presets.imagenet import IMAGENET
from quantize.data.presets.inception import INCEPTION

PARTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "caffe": CAFFE,
        "imagenet": IMAGENET,
        "efficientnet_lite": EFFICIENTNET_LITE,
        "inception": INCEPTION,
    }
)
"""The parts of a ``Preprocessing`` by the preset's name, sizes left to the model's input."""

if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = Literal[tuple(PARTS)]  # a type checker takes no computed choices; pydantic does
