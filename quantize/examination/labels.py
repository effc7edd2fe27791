"""Are the labels in the model's order of classes?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from quantize.data.labels.classes import class_names, labels_by_wordnet_id
from quantize.examination.findings import Examination, Finding, right, wrong
from quantize.examination.trials import AS_GIVEN, Comparison, Labels
from quantize.report.wording import percent

_CONFIDENT = 0.25


@dataclass(frozen=True)
class LabelOrder:
    """A way to read the labels of a file.

    Attributes:
        name: What it is called, as in "the labels are ...".
        advice: What to do where it is the right one.
        read: From the labels of all images, int64 (N,), to classes int64 (N,); no class where it is out of range.
    """

    name: str
    advice: str
    read: Callable[[Labels], Labels]


def label_orders(classes: int) -> tuple[LabelOrder, ...]:
    """Return the ways to read labels for a model of so many classes, the plain one first."""
    orders = [
        LabelOrder(AS_GIVEN, "", lambda labels: labels),
        LabelOrder("one too large (counted from 1)", "Subtract 1 from every label.", lambda labels: labels - 1),
        LabelOrder(
            "one too small (the model has a background class first)", "Add 1 to every label.", lambda labels: labels + 1
        ),
        LabelOrder(
            "those of the image one line before",
            "Move the labels up by one line: they are shifted against the images.",
            lambda labels: np.roll(labels, -1),
        ),
        LabelOrder(
            "those of the image one line after",
            "Move the labels down by one line: they are shifted against the images.",
            lambda labels: np.roll(labels, 1),
        ),
    ]
    if classes == len(class_names()):
        devkit = "Give the devkit itself as --label_path (folder or archive): its order is mapped then."
        orders += [
            LabelOrder("in the devkit's order (ILSVRC2012_ID, from 1)", devkit, _by_table(devkit_order(), 1)),
            LabelOrder("in the devkit's order, counted from 0", devkit, _by_table(devkit_order(), 0)),
            LabelOrder(
                "in alphabetical order of the classes' names",
                "Sort the classes by WordNet id instead.",
                _by_table(alphabetical_order(), 0),
            ),
        ]
    return tuple(orders)


def examine_labels(comparison: Comparison) -> Examination:
    """Return whether the labels are those of the images, in the model's order."""
    name = "labels"
    order, labels = comparison.best_order()
    plain = comparison.orders[AS_GIVEN]
    top1 = percent(float(comparison.base.right(plain).mean()), 1)
    if comparison.at_chance:
        confidence = max(predictions.confidence for predictions in comparison.all_predictions)
        sure = confidence > _CONFIDENT
        return wrong(
            name,
            "no reading of them fits",
            Finding(
                check=name,
                what="The labels do not match these images, or this model.",
                sure="very likely" if sure else "likely",
                evidence=f"top-1 {top1} on {comparison.images} images, no better with {len(comparison.variants)} other "
                f"preprocessings and {len(comparison.orders) - 1} orders of labels"
                + (f", while the model is sure of its answers (mean {percent(confidence, 0)})" if sure else ""),
                advice="Check which label file belongs to this folder: look at a few images with "
                "`quantize data check --contact_sheet`, and at the answers with `quantize predict`.",
                command="--label_path FILE",
            ),
        )
    best = max(comparison.all_predictions, key=lambda predictions: int(predictions.right(labels).sum()))
    top1 = percent(float(best.right(labels).mean()), 1)
    if order == AS_GIVEN:
        return right(name, f"as the model counts them (top-1 {top1})")
    return wrong(
        name,
        order,
        Finding(
            check=name,
            what=f"The labels are {order}.",
            sure="certain",
            evidence=f"top-1 {top1} on {comparison.images} images when read so, "
            f"{percent(float(best.right(plain).mean()), 1)} as they are",
            advice=next(known.advice for known in label_orders(comparison.base.classes) if known.name == order),
            command="--label_path FILE",
        ),
    )


@cache
def devkit_order() -> tuple[int, ...]:
    """Return the label, 0 to 999, of each ILSVRC2012_ID, 1 to 1000: the order of the challenge's own ground truth.

    Source: ``map_clsloc.txt`` of the challenge's development kit.
    """
    text = resources.files("quantize.examination").joinpath("devkit_order.txt").read_text(encoding="utf-8")
    labels = labels_by_wordnet_id()
    return tuple(labels[wordnet_id] for wordnet_id in text.split())


@cache
def alphabetical_order() -> tuple[int, ...]:
    """Return the label of each class when the classes are sorted by name, whatever the case."""
    names = class_names()
    return tuple(sorted(range(len(names)), key=lambda label: (names[label].lower(), label)))


def _by_table(order: tuple[int, ...], first: int) -> Callable[[Labels], Labels]:
    table = np.array(order, dtype=np.int64)

    def read(labels: Labels) -> Labels:
        places = labels - first
        inside = (places >= 0) & (places < len(table))
        return np.where(inside, table[np.where(inside, places, 0)], -1)

    return read
