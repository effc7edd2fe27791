"""The 1,000 ImageNet classes: WordNet ids and names, in label order."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType


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
