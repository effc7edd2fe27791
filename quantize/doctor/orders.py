"""Orders that labels come in: what a label of a file may mean in the model's order of classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from quantize.data.labels.synsets import class_names, labels_by_wordnet_id

Labels = NDArray[np.int64]
AS_GIVEN = "as given"


@dataclass(frozen=True)
class Reading:
    """A way to read the labels of a file.

    Attributes:
        name: What it is called, as in "the labels are ...".
        advice: What to do where it is the right one.
        read: From the labels of all images, int64 (N,), to classes int64 (N,); no class where it is out of range.
    """

    name: str
    advice: str
    read: Callable[[Labels], Labels]


def readings(classes: int) -> tuple[Reading, ...]:
    """Return the ways to read labels for a model of so many classes, the plain one first."""
    found = [
        Reading(AS_GIVEN, "", lambda labels: labels),
        Reading("one too large (counted from 1)", "Subtract 1 from every label.", lambda labels: labels - 1),
        Reading(
            "one too small (the model has a background class first)", "Add 1 to every label.", lambda labels: labels + 1
        ),
        Reading(
            "those of the image one line before",
            "Move the labels up by one line: they are shifted against the images.",
            lambda labels: np.roll(labels, -1),
        ),
        Reading(
            "those of the image one line after",
            "Move the labels down by one line: they are shifted against the images.",
            lambda labels: np.roll(labels, 1),
        ),
    ]
    if classes == len(class_names()):
        devkit = "Give the devkit itself as --label_path (folder or archive): its order is mapped then."
        found += [
            Reading("in the devkit's order (ILSVRC2012_ID, from 1)", devkit, _by_table(devkit_order(), 1)),
            Reading("in the devkit's order, counted from 0", devkit, _by_table(devkit_order(), 0)),
            Reading(
                "in alphabetical order of the classes' names",
                "Sort the classes by WordNet id instead.",
                _by_table(alphabetical_order(), 0),
            ),
        ]
    return tuple(found)


@cache
def devkit_order() -> tuple[int, ...]:
    """Return the label, 0 to 999, of each ILSVRC2012_ID, 1 to 1000: the order of the challenge's own ground truth.

    Source: ``map_clsloc.txt`` of the challenge's development kit.
    """
    text = resources.files("quantize.doctor").joinpath("devkit_order.txt").read_text(encoding="utf-8")
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
