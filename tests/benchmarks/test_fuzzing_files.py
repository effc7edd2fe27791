"""Files that fuzzing makes without atheris, and the child that opens them."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzzing.changed_files import changed_file, run_on_changed_files
from fuzzing.json_changes import changed_json
from fuzzing.reused_child import ReusedChild
from fuzzing.target import Target, finding

from quantize.errors import ConfigError


def test_hypothesis_makes_many_files_of_the_seeds_and_runs_each() -> None:
    seeds, seen = [b"name 1\n" * 20, b"x"], []
    run_on_changed_files(seeds, seen.append, 200, 3)
    assert len(seen) >= 200
    assert len(set(seen)) > 100
    assert sum(content.count(b"name 1") > 5 for content in seen) > 30


def test_a_change_is_made_where_it_is_asked_for() -> None:
    assert changed_file(b"abcd", [(1 << 15, "flip", b"\x00", 1)]) == b"abbd"
    assert changed_file(b"abcd", [(1 << 14, "set", b"x", 2)]) == b"axxd"
    assert changed_file(b"abcd", [(1 << 14, "cut", b"x", 2)]) == b"ad"
    assert changed_file(b"abcd", [(1 << 14, "double", b"x", 2)]) == b"abcbcd"
    assert changed_file(b"", [(5, "flip", b"x", 1), (5, "end", b"x", 1)]) == b""


def test_bytes_ask_for_changes_of_a_json_document_and_none_for_none() -> None:
    text = json.dumps({"a": [1, {"b": 2}], "c": "x"})
    assert json.loads(changed_json(text, b"")) == json.loads(text)
    assert json.loads(changed_json(text, bytes([1, 0]))) == {"a": [1, {"b": 2}]}
    assert json.loads(changed_json(text, bytes([0, 0, 1, 0, 0, 0]))) == {"a": [1, {}], "c": "x"}
    assert json.loads(changed_json(text, bytes([0, 0, 0, 4, 4]))) == {"a": [2, {"b": 2}], "c": "x"}


def test_random_bytes_ask_for_many_other_documents() -> None:
    draw, text = random.Random(5), json.dumps({"a": [1, {"b": 2, "d": None}], "c": "x", "e": {"f": [0.5]}})
    made = {changed_json(text, draw.randbytes(12)) for _ in range(200)}
    assert len(made) > 150
    for content in made:
        json.loads(content)


def worked(place: str) -> int:
    if place == "dies":
        os.abort()
    if place == "hangs":
        time.sleep(60)
    return os.getpid()


@pytest.fixture
def child() -> Iterator[ReusedChild[int]]:
    child = ReusedChild(worked, seconds=5.0)
    yield child
    child.close()


def test_a_child_is_reused_until_it_dies_or_hangs(child: ReusedChild[int]) -> None:
    first = child("a")
    assert first == child("b") != os.getpid()
    assert child("dies") is None
    second = child("c")
    assert second not in (first, None)


def test_a_child_that_hangs_is_ended(child: ReusedChild[int]) -> None:
    child("a")
    child._seconds = 0.2
    assert child("hangs") is None
    child._seconds = 30.0
    assert child("b") is not None


def test_a_fault_and_a_harmful_message_are_findings_and_a_refusal_is_none(tmp_path: Path) -> None:
    def run(content: bytes, _: Path) -> str | None:
        if content == b"told":
            return "told"
        raise {b"refused": ConfigError("wrong"), b"fault": KeyError("x"), b"own": OSError("no image")}[content]

    target = Target("x", "x", 1, lambda: [], run, refused=(OSError,))
    assert finding(target, b"refused", tmp_path) is None
    assert finding(target, b"own", tmp_path) is None
    assert finding(target, b"told", tmp_path) == "told"
    assert str(finding(target, b"fault", tmp_path)).startswith("KeyError at outside of quantize\n")
