"""The files that the fuzzing of models makes."""

from __future__ import annotations

import random

from fuzzing.targets.models import file_of, seeds
from onnx import ModelProto


def test_changes_of_fields_give_other_models_that_parse() -> None:
    draw = random.Random(3)
    files = {file_of(bytes([0x80 + number % 6]) + draw.randbytes(24)) for number in range(60)}
    assert len(files) > 40
    for content in files:
        ModelProto.FromString(content)


def test_a_model_among_the_seeds_is_opened_as_it_is() -> None:
    files = [content for content in seeds() if content[:1] < b"\x80"]
    assert len(files) == 6
    assert [file_of(content) for content in files] == files
