"""What every container of images can do: give an image's bytes, and tell cheaply whether they changed."""

from __future__ import annotations

from typing import Protocol

# Where an image lies in its container: a path, an offset and a length, a row group and a row. Sorted locators are in
# storage order. Only the source that made a locator reads it.
Locator = tuple[str | int, ...]


class ImageSource(Protocol):
    """A container of encoded images; it is pickled into worker processes and opens its files there."""

    def read(self, locator: Locator) -> bytes:
        """Return an image's encoded bytes.

        Raises:
            OSError: They cannot be read.
        """
        ...

    def state(self, locator: Locator) -> tuple[int, ...]:
        """Return numbers that change when the image's bytes do, without reading them (size and times of a file).

        Raises:
            OSError: The file is gone.
        """
        ...
