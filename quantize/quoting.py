r"""Text from others in messages and drawings: on one line, bounded, and with nothing that a program would obey.

Names of files, images, nodes and classes, labels, keys and what libraries say of them come from strangers. Control
characters, line breaks, direction marks and halves of surrogate pairs show as Python writes them (``\n``, ``\x1b``,
``\u202e``). JSON carries the text itself; everything that is drawn carries what this module makes of it.
"""

from __future__ import annotations

import re

LONGEST = 200
"""Characters of one quoted value."""

LONGEST_SENTENCE = 2000
"""Characters of a sentence of our own words and several values."""

_LONGEST_SEARCHED = 200_000
"""Characters in which values are looked for: that takes 400 bytes for each."""

_TAIL = 50

# C0 and C1, separators of lines, marks and overrides of direction, isolates, the byte order mark, surrogates,
# non-characters, invisible tags. The last ones are no characters of XML 1.0 (https://www.w3.org/TR/xml/#charsets).
UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f]"
)

# A literal as ``repr`` writes it, or in backticks; an apostrophe within a word opens none.
_LITERAL = re.compile(r"""(?<!\w)(['"`])((?:[^'"`\\]|\\.|(?!\1)['"`]){201,}?)\1(?!\w)""", re.DOTALL)
_WORD = re.compile(r"\S{201,}")
_FORMULAS = ("=", "+", "-", "@", "\\t", "\\r", "＝", "＋", "－", "＠")
_FACT = re.compile(r"\n *(found|expected|to do): +")


def visible(text: str) -> str:
    """Return text on one line: what cannot be seen, or breaks a line, shows as an escape."""
    return UNSEEN.sub(lambda match: match.group().encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def is_text(value: str) -> bool:
    """Return whether UTF-8, and so JSON, can hold a value; names of files that are none have halves of surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def quoted(text: object, longest: int = LONGEST) -> str:
    """Return a value as messages show it: on one line, and longer ones cut in the middle, with how long they are.

    Args:
        text: The value; what is no text is shown as ``str`` has it.
        longest: Characters of it that are shown.
    """
    whole = str(text)
    if len(whole) > 2 * longest:  # before it is escaped: a stranger's value can have any length
        shown, tail = visible(whole[:longest]), visible(whole[-_TAIL:])
    else:
        shown = tail = visible(whole)
        if len(shown) <= longest:
            return shown
    rest = min(_TAIL, longest // 4)
    return f"{shown[: longest - rest]}…{tail[len(tail) - rest :]} ({len(whole):,} characters)"


def sentence(text: str, longest: int = LONGEST_SENTENCE) -> str:
    """Return our own words and the values among them on one line: long values are cut, and the whole is bounded.

    Args:
        text: The words. An error's message is taken too: its facts follow each other.
        longest: Characters of all of it.
    """
    if len(text) <= LONGEST:
        return visible(_FACT.sub(r"; \1: ", text))
    if len(text) > _LONGEST_SEARCHED:  # looking for values in it would take memory without end
        return f"{visible(text[:longest])[:longest]}… ({len(text):,} characters)"
    cut = _LITERAL.sub(lambda match: match[1] + quoted(match[2]) + match[1], text)
    cut = _WORD.sub(_shorter, visible(_FACT.sub(r"; \1: ", cut)))
    return cut if len(cut) <= longest else f"{cut[:longest]}… ({len(text):,} characters)"


def _shorter(word: re.Match[str]) -> str:
    """Return a long word cut, but for a literal that has just been cut, which its marks make a little longer."""
    text = word.group()
    return text if len(text) <= LONGEST + len("'…'") else quoted(text)


def csv_cell(text: object) -> str:
    """Return a value as a cell of CSV that no spreadsheet takes for a formula.

    See OWASP, "CSV Injection": a cell that begins with ``=``, ``+``, ``-``, ``@`` (in full width too) or a tab is
    computed where the file is opened; an apostrophe before it makes it text.
    """
    shown = quoted(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULAS) else shown
