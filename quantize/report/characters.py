"""Names of files, classes and models as a drawing can show them: they come from anywhere and hold anything."""

from __future__ import annotations

import re

LONGEST = 400
"""Characters of one name or sentence that a drawing shows."""

# What moves a terminal's cursor, writes backwards, or is no character of XML 1.0 (https://www.w3.org/TR/xml/#charsets).
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def visible(text: str) -> str:
    """Return text whose control characters, direction marks and non-characters show as the replacement character."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def bounded(text: str, longest: int = LONGEST) -> str:
    """Return visible text of at most ``longest`` characters and a remark on how long it really is."""
    clean = visible(text)
    return clean if len(clean) <= longest else f"{clean[:longest]}… ({len(clean):,} characters)"


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return bounded, visible text on one line."""
    return bounded(" ".join(text.split()), longest)
