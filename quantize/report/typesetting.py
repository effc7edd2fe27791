"""Sentences as HTML that breaks lines where a reader expects it: no number is parted from its unit, no flag is cut."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from quantize.report.wording import one_line, unparted

_FLAG = re.compile(r"(?<![\w-])--\w+")


def typeset(text: object) -> Markup:
    """Return a sentence, or a cell of a table, as markup: escaped, on one line, with what belongs together kept so."""
    if isinstance(text, Markup):
        return text
    return Markup(_FLAG.sub(r'<span class="flag">\g<0></span>', str(escape(unparted(one_line(str(text)))))))  # noqa: S704  # nosec B704
