"""A run whose journal was damaged, by accident or on purpose: the right result, or one error and nothing lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from quantize.config import load_config
from quantize.errors import QuantizeError
from quantize.journal import _checksum, _line
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.colours import bytes_of

Lines = list[bytes]


def forged(line: bytes, **changed: Any) -> bytes:
    """Return a line with other values and the checksum of these, as whoever gives away a folder can write it."""
    entry = {**json.loads(line), **changed}
    del entry["checksum"]
    return _line({**entry, "checksum": _checksum(entry)})


def all_of(value: Any) -> Callable[[Lines], Lines]:
    """Return a damage that gives every step the same value."""
    return lambda lines: [lines[0], *(forged(line, result=value) for line in lines[1:])]


def flipped(line: bytes) -> bytes:
    return line[:40] + bytes([line[40] ^ 1]) + line[41:]


REFUSED: dict[str, Callable[[Lines], Sequence[bytes]]] = {
    "empty": lambda _: [],
    "one empty line": lambda _: [b"\n"],
    "cut in its header": lambda lines: [lines[0][:-20]],
    "a changed byte in its header": lambda lines: [flipped(lines[0]), *lines[1:]],
    "no header": lambda lines: lines[1:],
    "another file": lambda _: [b"\x89PNG\r\n\x1a\n" + bytes(100)],
    "other text": lambda lines: [b"".join(lines).decode().encode("utf-16")],
    "nothing asked": lambda lines: [forged(lines[0], request=None), *lines[1:]],
    "asked in another form": lambda lines: [forged(lines[0], request={"input_model": [5], "target": {}})],
    "inputs of another form": lambda lines: [forged(lines[0], inputs=[1, 2]), *lines[1:]],
    "of another version": lambda lines: [forged(lines[0], journal="9"), *lines[1:]],
    "nested without end": lambda lines: [b'{"request":' * 100_000 + b"\n", *lines[1:]],
}
CONTINUED: dict[str, Callable[[Lines], Sequence[bytes]]] = {
    "the last line cut": lambda lines: [*lines[:-1], lines[-1][:-30]],
    "no end of the last line": lambda lines: [*lines[:-1], lines[-1][:-1]],
    "a changed byte near its end": lambda lines: [*lines[:-2], flipped(lines[-2]), lines[-1]],
    "a line gone": lambda lines: [*lines[:-2], lines[-1]],
    "two lines in the other order": lambda lines: [*lines[:-2], lines[-1], lines[-2]],
    "every line twice": lambda lines: [lines[0], *(line for line in lines[1:] for _ in range(2))],
    "zeros behind it": lambda lines: [*lines, bytes(4096)],
    "line ends of Windows": lambda lines: [line.replace(b"\n", b"\r\n") for line in lines],
    "a line of megabytes": lambda lines: [*lines, b"x" * (1 << 24) + b"\n"],
    "the header twice": lambda lines: [lines[0], *lines],
    "steps without a value": all_of(None),
    "steps of another value": all_of({"a": [1, {"b": None}]}),
}


@pytest.fixture
def broken_off(colour_run: TuneResult, tmp_path: Path) -> Path:
    """Return a copy of a whole run that was broken off as it wrote its report."""
    run = Path(shutil.copytree(colour_run.run, tmp_path / "out"))
    (run / "report.json").unlink()
    return run


def resumed(run: Path) -> TuneResult:
    return tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run, workers=1))


@pytest.mark.parametrize("damage", REFUSED)
def test_a_journal_that_says_no_longer_what_was_asked_is_refused_and_left_as_it_is(
    broken_off: Path, damage: str
) -> None:
    path = broken_off / "trials.jsonl"
    path.write_bytes(b"".join(REFUSED[damage](path.read_bytes().splitlines(keepends=True))))
    before = bytes_of(broken_off)
    with pytest.raises(QuantizeError) as refused:
        resumed(broken_off)
    assert "--overwrite" in str(refused.value)
    assert bytes_of(broken_off) == before


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_no_file_is_refused(broken_off: Path, kind: str) -> None:
    path = broken_off / "trials.jsonl"
    path.unlink()
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to("nowhere")}[kind]()
    with pytest.raises(QuantizeError, match="--overwrite"):
        resumed(broken_off)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("damage", CONTINUED)
def test_a_run_whose_steps_are_damaged_comes_to_the_same(broken_off: Path, colour_run: TuneResult, damage: str) -> None:
    path = broken_off / "trials.jsonl"
    path.write_bytes(b"".join(CONTINUED[damage](path.read_bytes().splitlines(keepends=True))))
    report = resumed(broken_off).report
    assert report.chosen.recipe_id == colour_run.report.chosen.recipe_id
    for role in ("int8", "qdq"):
        assert report.model(role).graph_sha256 == colour_run.report.model(role).graph_sha256
    assert all(len(line) < 1 << 20 for line in path.read_bytes().splitlines())
