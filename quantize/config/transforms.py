"""Neural Compressor 1.x image transforms, translated where this tool's preprocessing means the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_BYTES_TO_UNIT = 1 / 255
_IMAGENET_STD = (0.229, 0.224, 0.225)  # ResizeCropImagenet of the onnxruntime adaptor divides by this, unasked
_INTERPOLATIONS = {"nearest": "nearest", "bilinear": "bilinear", "bicubic": "bicubic", "lanczos3": "lanczos"}
_WITHOUT_EFFECT = frozenset({"ToArray", "ToNDArray", "ToPILImage", "ParseDecodeImagenet", "Cast", "AlignImageChannel"})

TRANSFORMS = (
    "AlignImageChannel",
    "BilinearImagenet",
    "Cast",
    "CenterCrop",
    "CropResize",
    "CropToBoundingBox",
    "Normalize",
    "PaddedCenterCrop",
    "ParseDecodeCoco",
    "ParseDecodeImagenet",
    "ParseDecodeVoc",
    "QuantizedInput",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomVerticalFlip",
    "Rescale",
    "Resize",
    "ResizeCropImagenet",
    "ResizeWithAspectRatio",
    "ResizeWithRatio",
    "ToArray",
    "ToNDArray",
    "ToPILImage",
    "ToTensor",
    "Transpose",
)

Parts = dict[str, Any]


class NotTheSameError(Exception):
    """``preprocessing`` cannot express a transform; the message names it."""


def preprocessing_of(transforms: Mapping[str, Any]) -> Parts:
    """Return the parts of ``preprocessing`` that a list of transforms is equivalent to.

    Args:
        transforms: Names and arguments, in the order of the file.

    Raises:
        NotTheSameError: ``preprocessing`` cannot express the transforms.
    """
    parts: Parts = {"channel_order": "RGB", "scale": 1.0, "mean": [0.0], "std": [1.0]}
    for name, arguments in transforms.items():
        given = arguments if isinstance(arguments, Mapping) else {}
        read = _READERS.get(name)
        if read is not None:
            read(given, parts)
        elif name not in _WITHOUT_EFFECT:
            raise NotTheSameError(name)
    if "resize" not in parts:
        raise NotTheSameError("no Resize")
    parts.setdefault("crop", parts["resize"])
    return parts


def _resize(given: Mapping[str, Any], parts: Parts) -> None:
    if "resize" in parts or "crop" in parts:
        raise NotTheSameError("Resize after another Resize or CenterCrop")
    parts.update(
        resize=_side(given.get("size"), "Resize"),
        resize_mode="square",
        interpolation=_interpolation(given.get("interpolation", "bilinear"), "Resize"),
    )


def _center_crop(given: Mapping[str, Any], parts: Parts) -> None:
    if "crop" in parts:
        raise NotTheSameError("CenterCrop after CenterCrop")
    parts["crop"] = _side(given.get("size"), "CenterCrop")


def _rescale(given: Mapping[str, Any], parts: Parts) -> None:  # noqa: ARG001 - it has no arguments
    if parts["scale"] != 1.0 or parts["mean"] != [0.0] or parts["std"] != [1.0]:
        raise NotTheSameError("Rescale after Rescale or Normalize")
    parts["scale"] = _BYTES_TO_UNIT


def _normalize(given: Mapping[str, Any], parts: Parts) -> None:
    if parts["mean"] != [0.0] or parts["std"] != [1.0] or "rescale" in given:
        raise NotTheSameError("Normalize with `rescale`, or twice")
    parts["mean"], parts["std"] = given.get("mean", [0.0]), given.get("std", [1.0])


def _transpose(given: Mapping[str, Any], parts: Parts) -> None:  # noqa: ARG001 - the layout is the model's
    if given.get("perm") != [2, 0, 1]:
        raise NotTheSameError(f"Transpose with perm {given.get('perm')}")


def _resize_crop_imagenet(given: Mapping[str, Any], parts: Parts) -> None:
    if "resize" in parts or "crop" in parts or given.get("height") != given.get("width"):
        raise NotTheSameError("ResizeCropImagenet after another resize, or not square")
    if any(given.get(name) for name in ("random_crop", "slice_crop", "random_flip_left_right", "scale")):
        raise NotTheSameError("ResizeCropImagenet with random or slice crops, flips, or a scale")
    if given.get("subpixels", "RGB") != "RGB":
        raise NotTheSameError("ResizeCropImagenet with subpixels BGR")
    _rescale({}, parts)
    parts.update(
        resize=given.get("resize_side", 256),
        resize_mode="shorter",
        crop=given.get("height"),
        interpolation=_interpolation(given.get("resize_method", "bilinear"), "ResizeCropImagenet"),
        mean=given.get("mean_value", [0.0]),
        std=given.get("std_value", list(_IMAGENET_STD)),
    )


def _side(size: Any, name: str) -> Any:
    """Return the side of a square size: a number, [n] or [n, n]."""
    if isinstance(size, list) and size and all(side == size[0] for side in size):
        return size[0]
    if isinstance(size, int):
        return size
    raise NotTheSameError(f"{name} to {size}")


def _interpolation(method: Any, name: str) -> str:
    if not isinstance(method, str) or method not in _INTERPOLATIONS:
        raise NotTheSameError(f"{name} with {method}")
    return _INTERPOLATIONS[method]


_READERS: dict[str, Callable[[Mapping[str, Any], Parts], None]] = {
    "Resize": _resize,
    "CenterCrop": _center_crop,
    "Rescale": _rescale,
    "Normalize": _normalize,
    "Transpose": _transpose,
    "ResizeCropImagenet": _resize_crop_imagenet,
}
