"""Other preprocessings that a model may have been trained with: the one asked for, changed in one part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.errors import ConfigError

_NORMALIZATIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("caffe's scale, mean and std", {key: getattr(PRESETS["caffe"], key) for key in ("scale", "mean", "std")}),
    ("imagenet's scale, mean and std", {key: getattr(PRESETS["imagenet"], key) for key in ("scale", "mean", "std")}),
    ("values from -1 to 1", {"scale": 1 / 127.5, "mean": (1.0, 1.0, 1.0), "std": (1.0, 1.0, 1.0)}),
    ("values from 0 to 1", {"scale": 1 / 255, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}),
)
PARTS = ("resize", "resize_mode", "crop", "interpolation", "channel_order", "scale", "mean", "std")


@dataclass(frozen=True)
class Variant:
    """A preprocessing, and what makes it another one.

    Attributes:
        preprocessing: Sizes decided.
        change: What it changes, in words.
    """

    preprocessing: Preprocessing
    change: str


def variants(asked: Preprocessing, size: tuple[int, int] | None) -> tuple[Variant, ...]:
    """Return other preprocessings, the smallest changes first; each does something else than ``asked``.

    Args:
        asked: Sizes decided.
        size: The model's (height, width), or None where it takes others.
    """
    seen = {asked.fingerprint}
    found = []
    for change, changed in _changes(asked):
        try:
            sized = changed.for_input_size(*(size or (asked.side, asked.side)))
        except ConfigError:
            continue
        if sized.fingerprint not in seen:
            seen.add(sized.fingerprint)
            found.append(Variant(sized, change))
    return tuple(found)


def _changes(asked: Preprocessing) -> Iterator[tuple[str, Preprocessing]]:
    def but(**parts: Any) -> Preprocessing:
        return asked.model_copy(update={"preset": None, **parts})

    yield "channels in the other order", but(channel_order="RGB" if asked.channel_order == "BGR" else "BGR")
    yield "scale 1", but(scale=1.0)
    yield "scale 1/255", but(scale=1 / 255)
    yield "both sides resized, nothing cut off", but(resize_mode="square", resize=None, crop=None)
    yield "shorter side resized, centre cut out", but(resize_mode="shorter", resize=None, crop=None)
    for change, parts in _NORMALIZATIONS:
        yield change, but(**parts)
    for name, preset in PRESETS.items():
        yield f"preset {name}", preset


def flags(preprocessing: Preprocessing, asked: Preprocessing) -> str:
    """Return the flags that give a preprocessing: its preset's, or those of the parts that differ from ``asked``."""
    for name, preset in PRESETS.items():
        side = preprocessing.side
        if preset.for_input_size(side, side).fingerprint == preprocessing.fingerprint:
            return f"--preset {name}"
    start = f"--preset {asked.preset} " if asked.preset else ""
    return start + " ".join(
        f"--{part} {_text(getattr(preprocessing, part))}"
        for part in PARTS
        if getattr(preprocessing, part) != getattr(asked, part) and getattr(preprocessing, part) is not None
    )


def differences(asked: Preprocessing, other: Preprocessing) -> str:
    """Return the parts in which two differ, as asked and as the other has them."""
    return ", ".join(
        f"{part} {_text(getattr(asked, part))} for {_text(getattr(other, part))}"
        for part in PARTS
        if getattr(asked, part) != getattr(other, part)
    )


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ",".join(f"{number:.6g}" for number in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
