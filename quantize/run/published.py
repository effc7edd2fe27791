"""What was published of a known model and of its quantized forms."""

from __future__ import annotations

import re

from quantize.models.catalog.catalog import CatalogEntry, load_catalog
from quantize.report.models import PublishedSection, Role

_ROLES: dict[str, Role] = {"fp32": "fp32", "qlinear": "int8", "qdq": "qdq"}
_NUMBERS = re.compile(r"-\d+(-.*)?$")


def published_figures(entry: CatalogEntry | None) -> tuple[PublishedSection, ...]:
    """Return the published accuracy of a catalog's model and of the quantized files of the same name.

    Args:
        entry: The fp32 model's entry, or None where its weights are not known.

    Raises:
        ConfigError: The user's own catalog is wrong.
    """
    if entry is None:
        return ()
    stem = _NUMBERS.sub("", entry.name)
    same = [other for other in load_catalog() if other.format != "fp32" and _NUMBERS.sub("", other.name) == stem]
    return tuple(
        PublishedSection(
            role=_ROLES[one.format], top1=one.published.top1, top5=one.published.top5, source=one.published.source
        )
        for one in (entry, *same)
        if one.published is not None
    )
