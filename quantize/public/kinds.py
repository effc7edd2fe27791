"""What the functions of the Python API take, for type checkers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from quantize.commands.settings import PathLike

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    from quantize.public.result import TuneResult

ModelLike: TypeAlias = "PathLike | bytes | ModelProto"
"""A model: a path, the bytes of a file, or parsed."""

Pictures: TypeAlias = "NDArray[np.uint8] | Sequence[NDArray[np.uint8]]"
"""Decoded pictures: uint8 (N, H, W, 3), or a sequence of pictures of any sizes."""

Labels: TypeAlias = "Sequence[int] | Sequence[Sequence[int]] | NDArray[Any]"
"""A class for each picture, or for each a sequence of labels."""

RunLike: TypeAlias = "PathLike | TuneResult"
"""A run: its folder, its ``report.json``, or what ``tune`` returned."""
