"""Is the preprocessing the one that the model was trained with? Variants that differ in one part are tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.errors import ConfigError
from quantize.examination.findings import Examination, Finding, not_checked, right, wrong
from quantize.examination.trials import CHANCE, Comparison, Labels, Predictions, Variant
from quantize.report.wording import percent

_NORMALIZATIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("caffe's scale, mean and std", {key: getattr(PRESETS["caffe"], key) for key in ("scale", "mean", "std")}),
    ("imagenet's scale, mean and std", {key: getattr(PRESETS["imagenet"], key) for key in ("scale", "mean", "std")}),
    ("values from -1 to 1", {"scale": 1 / 127.5, "mean": (1.0, 1.0, 1.0), "std": (1.0, 1.0, 1.0)}),
    ("values from 0 to 1", {"scale": 1 / 255, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}),
)
# Probabilities can be better throughout without one more right answer: top-1 has to be better too, by enough to matter.
_GAIN = 0.02
_PARTS = ("resize", "resize_mode", "crop", "interpolation", "channel_order", "scale", "mean", "std")


def variants(asked: Preprocessing, size: tuple[int, int] | None) -> tuple[Variant, ...]:
    """Return other preprocessings, the smallest changes first; each does something else than ``asked``.

    Args:
        asked: Sizes decided.
        size: The model's (height, width), or None if it takes others.
    """
    seen = {asked.fingerprint}
    others: list[Variant] = []
    for change, changed in _changes(asked):
        try:
            sized = changed.for_input(size or (asked.side, asked.side), asked.channels)
        except ConfigError:
            continue
        if sized.fingerprint not in seen:
            seen.add(sized.fingerprint)
            others.append(Variant(sized, change))
    return tuple(others)


def _changes(asked: Preprocessing) -> Iterator[tuple[str, Preprocessing]]:
    def but(**parts: Any) -> Preprocessing:
        return asked.model_copy(update={"preset": None, **parts})

    if asked.channels > 1:
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
        if _is_preset(preprocessing, preset):
            return f"--preset {name}"
    start = f"--preset {asked.preset} " if asked.preset else ""
    return start + " ".join(
        f"--{part} {_text(getattr(preprocessing, part))}"
        for part in _PARTS
        if getattr(preprocessing, part) != getattr(asked, part) and getattr(preprocessing, part) is not None
    )


def _is_preset(preprocessing: Preprocessing, preset: Preprocessing) -> bool:
    try:
        sized = preset.for_input((preprocessing.side, preprocessing.side), preprocessing.channels)
    except ConfigError:
        return False
    return sized.fingerprint == preprocessing.fingerprint


def differences(asked: Preprocessing, other: Preprocessing) -> str:
    """Return the parts in which two differ, as asked and as the other has them."""
    return ", ".join(
        f"{part} {_text(getattr(asked, part))} for {_text(getattr(other, part))}"
        for part in _PARTS
        if getattr(asked, part) != getattr(other, part)
    )


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ",".join(f"{number:.6g}" for number in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def examine_preprocessing(comparison: Comparison) -> Examination:
    """Return whether another preprocessing fits the model better, by its answers and by its documentation."""
    name = "preprocessing"
    if comparison.at_chance:
        return not_checked(name, "the labels fit no preprocessing")
    _, labels = comparison.best_order()
    own = comparison.base.right(labels).mean()
    documented = _documented(comparison, labels)
    if documented is not None:
        return wrong(name, "not the one the model is documented with", documented)
    better = [
        (float(predictions.likelihoods(labels).mean()), variant, predictions)
        for variant, predictions in comparison.variants
        if predictions.right(labels).mean() - own >= _GAIN
        and _more_likely(predictions, comparison.base, labels) * len(comparison.variants) <= CHANCE
    ]
    if not better:
        return right(name, f"none of {len(comparison.variants)} others fits better (top-1 {percent(float(own), 1)})")
    # Of several that fit alike the first is the smallest change; likelihoods are compared to two digits for that.
    _, variant, predictions = max(better, key=lambda candidate: round(candidate[0], 2))
    return wrong(
        name,
        f"{variant.change} fits better",
        Finding(
            check=name,
            what=f"The preprocessing is not the one the model was trained with: {variant.change} fits better.",
            sure="very likely",
            evidence=_figures(predictions, comparison, labels),
            advice=f"Use {_said(variant.preprocessing, comparison.asked)}.",
            command=flags(variant.preprocessing, comparison.asked),
        ),
    )


def _documented(comparison: Comparison, labels: Labels) -> Finding | None:
    """Return a finding where the catalog documents another preprocessing and the images do not speak against it."""
    entry = comparison.entry
    chosen = None if entry is None else entry.chosen_preprocessing()
    if entry is None or chosen is None:
        return None
    side = comparison.asked.side
    documented = chosen.for_input_size(side, side)
    under = {variant.preprocessing.fingerprint: predictions for variant, predictions in comparison.variants}
    predictions = under.get(documented.fingerprint)
    if predictions is None or predictions.likelihoods(labels).mean() < comparison.base.likelihoods(labels).mean():
        return None
    return Finding(
        check="preprocessing",
        what="The preprocessing is not the one this model is known to need.",
        sure="certain",
        evidence=f"{differences(comparison.asked, documented)} ({entry.name} in the catalog); "
        + _figures(predictions, comparison, labels),
        advice=f"Use {_said(documented, comparison.asked)}.",
        command=flags(documented, comparison.asked),
    )


def _figures(predictions: Predictions, comparison: Comparison, labels: Labels) -> str:
    return (
        f"top-1 {percent(float(predictions.right(labels).mean()), 1)} with it, "
        f"{percent(float(comparison.base.right(labels).mean()), 1)} as asked, on the same {comparison.images} images"
    )


def _said(chosen: Preprocessing, asked: Preprocessing) -> str:
    return differences(chosen, asked).replace(" for ", " in place of ")


def _more_likely(predictions: Predictions, base: Predictions, labels: Labels) -> float:
    """Return the p-value of "the true classes are no more likely": Wilcoxon's signed-rank test, one-sided, paired."""
    gains = predictions.likelihoods(labels) - base.likelihoods(labels)
    if not np.any(gains):
        return 1.0
    return float(stats.wilcoxon(gains, alternative="greater", method="approx").pvalue)
