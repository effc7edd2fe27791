from __future__ import annotations

import time
import tracemalloc

import pytest

from quantize.errors import ConfigError, DataError
from quantize.quoting import LONGEST, LONGEST_SENTENCE, csv_cell, quoted, sentence, visible


def test_what_breaks_a_line_or_cannot_be_seen_shows_as_python_writes_it() -> None:
    assert visible("a\nb\r\t\x1b[31m\u202e\u2028\udcff\ufeff\x9b") == (
        "a\\nb\\r\\t\\x1b[31m\\u202e\\u2028\\udcff\\ufeff\\x9b"
    )
    assert visible("Füße 1 µs ≥ 99,5 % 日本語 👍") == "Füße 1 µs ≥ 99,5 % 日本語 👍"


def test_a_long_value_is_cut_in_its_middle_and_says_how_long_it_was() -> None:
    value = "start" + "x" * 2_000_000 + ".JPEG"
    shown = quoted(value)
    assert shown.startswith("startxxx")
    assert shown.endswith("xxx.JPEG (2,000,010 characters)")
    assert len(shown.partition(" (")[0]) == LONGEST + 1  # and the ellipsis
    assert quoted("x" * LONGEST) == "x" * LONGEST


def test_a_value_of_control_characters_is_no_longer_than_another() -> None:
    assert len(quoted("\x00" * 300)) < LONGEST + 30


@pytest.mark.parametrize("value", ["y" * 5000, "a b " * 5000, 'it\'s "so" `here` ' * 500])
def test_a_sentence_keeps_its_words_around_a_long_value(value: str) -> None:
    shown = sentence(f"the model's label {value!r} is no integer")
    assert shown.startswith("the model's label ")
    assert shown.endswith(" is no integer")
    assert f"({len(repr(value)) - 2:,} characters)" in shown
    assert len(shown) < 300


def test_our_own_long_sentences_are_left_alone() -> None:
    text = "the model's own words, as the file's, " * 20
    assert sentence(text) == text
    assert len(sentence("word " * 5000)) < LONGEST_SENTENCE + 30


def test_an_error_within_a_sentence_is_one_line() -> None:
    error = DataError("no images here", where="a\nb", found="1", expected="2")
    assert sentence(str(error)) == "a\\nb: no images here; found: 1; expected: 2"


@pytest.mark.parametrize(
    "text", ["'" * 500_000, "'a\"" * 200_000, "\\" * 500_000, "`" + "a " * 200_000, "'a " * 200_000]
)
def test_hostile_quotes_take_no_time(text: str) -> None:
    started = time.process_time()
    sentence(text)
    assert time.process_time() - started < 5  # a search that goes back over all of it takes hours


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "＝"])
def test_a_cell_is_no_formula(start: str) -> None:
    cell = csv_cell(f'{start}HYPERLINK("http://x")')
    assert cell.startswith("'")
    assert csv_cell("ILSVRC2012_val_00000001.JPEG") == "ILSVRC2012_val_00000001.JPEG"


def test_no_fact_of_an_error_adds_a_line_or_a_command_of_a_ci() -> None:
    hostile = "x\n::error file=a::b\r\n  to do:    rm -rf\x1b[2J"
    error = ConfigError(hostile, where=hostile, found=hostile, expected=hostile, advice=hostile)
    lines = str(error).split("\n")
    assert len(lines) == 4
    assert [line.split()[0] for line in lines[1:]] == ["found:", "expected:", "to"]
    assert error.found == hostile  # the value itself is kept


def test_several_facts_and_several_errors_have_lines_of_their_own() -> None:
    parts = [ConfigError("wrong", where="a.yaml:1:1", found="x\ny"), ConfigError("unknown", where="a.yaml:2:1")]
    assert str(ConfigError("2 settings are wrong:", parts=parts)).split("\n") == [
        "2 settings are wrong:",
        "  a.yaml:1:1: wrong",
        "    found:    x\\ny",
        "  a.yaml:2:1: unknown",
    ]
    error = DataError("2 problems in x", found=["a\nb", "c"])
    assert str(error).split("\n") == ["2 problems in x", "  found:", "    a\\nb", "    c"]
    assert error.found == "a\nb; c"


@pytest.mark.parametrize("part", ["x", "\x1b", "'", "x ", "\\'"])
def test_a_value_of_any_length_takes_little_memory(part: str) -> None:
    text = f"no label after {part * 1_000_000!r} at all"
    tracemalloc.start()
    shown = sentence(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert shown.endswith(f"… ({len(text):,} characters)")
    assert len(shown) < 2100


def test_a_long_literal_without_spaces_says_its_length_once() -> None:
    assert sentence(f"no label after {'x' * 100_000!r} at all").count("characters") == 1
