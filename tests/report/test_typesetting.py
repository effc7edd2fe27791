"""Where lines of a page may break."""

from __future__ import annotations

import pytest

from quantize.report.typesetting import typeset


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("67.75 % in 1.2 ms", "67.75\N{NO-BREAK SPACE}% in 1.2\N{NO-BREAK SPACE}ms"),
        ("3 small 5 minutes", "3 small 5 minutes"),
        ("a --target any", 'a <span class="flag">--target</span> any'),
        ("a--b", "a--b"),
        ("2.9x [-2.8, 3.1]", "2.9x [-2.8,\N{NO-BREAK SPACE}3.1]"),
        ("<b>&1 %", "&lt;b&gt;&amp;1\N{NO-BREAK SPACE}%"),
    ],
)
def test_numbers_keep_their_units_flags_stay_whole_and_markup_is_text(text: str, drawn: str) -> None:
    assert typeset(text) == drawn


def test_what_is_drawn_once_is_not_drawn_again() -> None:
    assert typeset(typeset("<--a")) == typeset("<--a")
