"""Which preprocessing and which reading of the labels fit what the model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quantize.data.preprocessing import Preprocessing
from quantize.doctor.finding import Examined, Finding, not_checked, right, wrong
from quantize.doctor.orders import AS_GIVEN, Reading
from quantize.doctor.trying import Tried
from quantize.doctor.variants import Variant, differences, flags
from quantize.evaluation.evaluation import believable_rate
from quantize.models.catalog.catalog import CatalogEntry
from quantize.report.wording import percent

Labels = NDArray[np.int64]

# A variant or a reading counts as better when chance explains it once in 10,000 set-ups, all of them together.
_CHANCE = 1e-4
# And when it is better by enough to matter: probabilities can be better throughout without one more right answer.
_GAIN = 0.02
_CONFIDENT = 0.25


@dataclass(frozen=True, eq=False)
class Fit:
    """What was tried.

    Attributes:
        asked: The preprocessing that is asked for.
        base: What the model says with it.
        variants: Other preprocessings, with what the model says.
        readings: Ways to read the labels, the plain one first, with the classes they give for the tried images.
        entry: What the catalog knows of the model.
    """

    asked: Preprocessing
    base: Tried
    variants: Sequence[tuple[Variant, Tried]]
    readings: Mapping[str, tuple[Reading, Labels]]
    entry: CatalogEntry | None

    @property
    def images(self) -> int:
        """Return the number of images."""
        return len(self.base.predictions)

    def best_reading(self) -> tuple[Reading, Labels]:
        """Return the reading under which some preprocessing is right most often; the plain one where none is better."""
        tried = [self.base, *(one for _, one in self.variants)]
        counts = {
            name: max(int(one.right(labels).sum()) for one in tried) for name, (_, labels) in self.readings.items()
        }
        best = max(counts, key=lambda name: (counts[name], name == AS_GIVEN))
        plain = counts[AS_GIVEN]
        # Every image that one reading has right the other has wrong: a sign test of the counts.
        if best != AS_GIVEN and _sign_test(counts[best], plain) * len(counts) > _CHANCE:
            best = AS_GIVEN
        return self.readings[best]

    @property
    def at_chance(self) -> bool:
        """Whether no preprocessing and no reading gives more right answers than guessing."""
        _, labels = self.best_reading()
        most = max(int(one.right(labels).sum()) for one in (self.base, *(one for _, one in self.variants)))
        classes = self.base.logs.shape[1]
        return bool(stats.binomtest(most, self.images, believable_rate(classes), "greater").pvalue > _CHANCE)


def examine_labels(fit: Fit) -> Examined:
    """Return whether the labels are those of the images, in the model's order."""
    name = "labels"
    reading, labels = fit.best_reading()
    plain = fit.readings[AS_GIVEN][1]
    tried = [fit.base, *(one for _, one in fit.variants)]
    if fit.at_chance:
        confidence = max(one.confidence for one in tried)
        sure = confidence > _CONFIDENT
        return wrong(
            name,
            "no reading of them fits",
            Finding(
                check=name,
                what="The labels do not belong to these images, or not to this model.",
                sure="very likely" if sure else "likely",
                evidence=f"top-1 {percent(float(fit.base.right(plain).mean()), 1)} on {fit.images} images, no "
                f"better with {len(fit.variants)} other preprocessings and {len(fit.readings) - 1} orders of labels"
                + (f", while the model is sure of its answers (mean {percent(confidence, 0)})" if sure else ""),
                advice="Check which label file belongs to this folder: look at a few images with "
                "`quantize data check --contact_sheet`, and at the answers with `quantize predict`.",
                command="--label_path FILE",
            ),
        )
    best = max(tried, key=lambda one: int(one.right(labels).sum()))
    if reading.name == AS_GIVEN:
        return right(name, f"as the model counts them (top-1 {percent(float(best.right(labels).mean()), 1)})")
    return wrong(
        name,
        reading.name,
        Finding(
            check=name,
            what=f"The labels are {reading.name}.",
            sure="certain",
            evidence=f"top-1 {percent(float(best.right(labels).mean()), 1)} on {fit.images} images when read so, "
            f"{percent(float(best.right(plain).mean()), 1)} as they are",
            advice=reading.advice,
            command="--label_path FILE",
        ),
    )


def examine_preprocessing(fit: Fit) -> Examined:
    """Return whether another preprocessing fits the model better, by its answers and by its documentation."""
    name = "preprocessing"
    if fit.at_chance:
        return not_checked(name, "the labels fit no preprocessing")
    _, labels = fit.best_reading()
    own = fit.base.right(labels).mean()
    documented = _documented(fit, labels)
    if documented is not None:
        return wrong(name, "not the one the model is documented with", documented)
    better = [
        (float(tried.likelihoods(labels).mean()), variant, tried)
        for variant, tried in fit.variants
        if tried.right(labels).mean() - own >= _GAIN
        and _more_likely(tried, fit.base, labels) * len(fit.variants) <= _CHANCE
    ]
    if not better:
        return right(name, f"none of {len(fit.variants)} others fits better (top-1 {percent(float(own), 1)})")
    # Of several that fit alike the first is the smallest change; likelihoods are compared to two digits for that.
    _, variant, tried = max(better, key=lambda found: round(found[0], 2))
    return wrong(
        name,
        f"{variant.change} fits better",
        Finding(
            check=name,
            what=f"The preprocessing is not the one the model was trained with: {variant.change} fits better.",
            sure="very likely",
            evidence=_figures(tried, fit, labels),
            advice=f"Use {_said(variant.preprocessing, fit.asked)}.",
            command=flags(variant.preprocessing, fit.asked),
        ),
    )


def examine_published(fit: Fit) -> Examined:
    """Return whether the accuracy is as published, within what so few images can tell."""
    name = "published accuracy"
    published = None if fit.entry is None or fit.entry.published is None else fit.entry.published.top1
    if published is None:
        return not_checked(name, "none is known")
    _, labels = fit.best_reading()
    found = stats.binomtest(int(fit.base.right(labels).sum()), fit.images)
    interval = found.proportion_ci(confidence_level=0.99, method="wilson")
    text = (
        f"top-1 {percent(float(found.statistic), 1)} on {fit.images} images, 99 % interval "
        f"{percent(float(interval.low), 1)} to {percent(float(interval.high), 1)}; published {percent(published)}"
    )
    if interval.high >= published:
        return right(name, text)
    assert fit.entry is not None
    return wrong(
        name,
        text,
        Finding(
            check=name,
            what="The model is less accurate than published.",
            sure="likely",
            evidence=f"{text} ({fit.entry.published.source if fit.entry.published else ''})",
            advice="Check preprocessing and labels; where both are right, these images are harder than ImageNet's.",
        ),
    )


def _documented(fit: Fit, labels: Labels) -> Finding | None:
    """Return a finding where the catalog documents another preprocessing and the images do not speak against it."""
    chosen = None if fit.entry is None else fit.entry.chosen_preprocessing()
    if chosen is None:
        return None
    side = fit.asked.side
    documented = chosen.for_input_size(side, side)
    tried = next(
        (one for variant, one in fit.variants if variant.preprocessing.fingerprint == documented.fingerprint), None
    )
    if tried is None or tried.likelihoods(labels).mean() < fit.base.likelihoods(labels).mean():
        return None
    assert fit.entry is not None
    return Finding(
        check="preprocessing",
        what="The preprocessing is not the one this model is known to need.",
        sure="certain",
        evidence=f"{differences(fit.asked, documented)} ({fit.entry.name} in the catalog); "
        + _figures(tried, fit, labels),
        advice=f"Use {_said(documented, fit.asked)}.",
        command=flags(documented, fit.asked),
    )


def _figures(tried: Tried, fit: Fit, labels: Labels) -> str:
    return (
        f"top-1 {percent(float(tried.right(labels).mean()), 1)} with it, "
        f"{percent(float(fit.base.right(labels).mean()), 1)} as asked, on the same {fit.images} images"
    )


def _said(chosen: Preprocessing, asked: Preprocessing) -> str:
    return differences(chosen, asked).replace(" for ", " in place of ")


def _more_likely(tried: Tried, base: Tried, labels: Labels) -> float:
    """Return the p-value of "the true classes are no more likely": Wilcoxon's signed-rank test, one-sided, paired."""
    gains = tried.likelihoods(labels) - base.likelihoods(labels)
    if not np.any(gains):
        return 1.0
    return float(stats.wilcoxon(gains, alternative="greater", method="approx").pvalue)


def _sign_test(more: int, fewer: int) -> float:
    return float(stats.binomtest(more, more + fewer, 0.5, "greater").pvalue) if more + fewer else 1.0
