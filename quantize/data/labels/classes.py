"""The 1,000 ImageNet classes, and labels from the names of class folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from types import MappingProxyType

from quantize.errors import DataError


@cache
def wordnet_ids() -> tuple[str, ...]:
    """Return the WordNet id of each label: ``wordnet_ids()[0]`` is ``n01440764``."""
    return tuple(line.split(" ", 1)[0] for line in _lines())


@cache
def class_names() -> tuple[str, ...]:
    """Return the name of each label: ``class_names()[0]`` is ``tench``."""
    return tuple(line.split(" ", 1)[1] for line in _lines())


@cache
def labels_by_wordnet_id() -> Mapping[str, int]:
    """Return the label, 0 to 999, of each WordNet id."""
    return MappingProxyType({wordnet_id: label for label, wordnet_id in enumerate(wordnet_ids())})


@cache
def _lines() -> tuple[str, ...]:
    text = resources.files("quantize.data").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


_WORDNET_ID = re.compile(r"n[0-9]{8}")


def class_labels(folders: Sequence[str], classes: int | None, place: str) -> tuple[Mapping[str, int], str]:
    """Return each class folder's label, and a note on how it was found.

    Folders named by WordNet id map through ImageNet's 1,000 ids; other names by their sorted rank (numbers as
    numbers), and only when there are as many as the model has classes.

    Args:
        folders: Names of the class folders.
        classes: The model's number of classes, or None if it is not known.
        place: The data, for messages.

    Raises:
        DataError: Ids that are none of the 1,000, or another number of folders than of classes.
    """
    by_id = labels_by_wordnet_id()
    wordnet = [name for name in folders if _WORDNET_ID.fullmatch(name)]
    unknown = [name for name in wordnet if name not in by_id]
    if len(wordnet) == len(folders) and (classes is None or classes >= len(by_id)):
        if unknown:
            raise DataError(
                f"{len(unknown):,} class folders are none of ImageNet's 1,000 classes",
                where=place,
                found=_some(unknown),
                expected="WordNet ids such as n01440764",
                advice="remove these folders, or give a label file",
            )
        return {name: by_id[name] for name in folders}, "labels come from the class folders' WordNet ids"
    if classes is not None and len(folders) != classes:
        strangers = [name for name in folders if name not in by_id]
        raise DataError(
            f"{len(folders):,} class folders for a model of {classes:,} classes",
            where=place,
            found=_some(strangers or list(folders)),
            expected="folders named by WordNet id, or one for each class, in the order of the classes when sorted",
            advice="give the labels with a label file, or name the folder that holds the class folders",
        )
    numbers = all(name.isascii() and name.isdigit() for name in folders)
    ranked = sorted(folders, key=lambda name: (int(name), name)) if numbers else sorted(folders)
    return (
        {name: label for label, name in enumerate(ranked)},
        f"labels are the ranks of the {len(folders):,} class folders, sorted {'as numbers' if numbers else 'by name'}",
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (", …" if len(names) > 5 else "")
