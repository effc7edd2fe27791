"""What a row of a table says of its image."""

from __future__ import annotations

from dataclasses import dataclass

from quantize.data.containers.source import Locator


@dataclass(frozen=True)
class TableRow:
    """A row, without its image.

    Attributes:
        file: Number of the file that it is in.
        name: The image's file name, or None where the table has none.
        label: Its label, or None.
        locator: Where the image is.
    """

    file: int
    name: str | None
    label: int | None
    locator: Locator
