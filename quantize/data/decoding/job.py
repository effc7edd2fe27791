"""The work of one decoding process: read, decode, crop, write the crop to its row of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantize.data.containers.source import ImageSource, Locator
from quantize.data.decoding.decode import decode_image
from quantize.data.decoding.unreadable import UnreadableImageError
from quantize.data.preprocessing import Preprocessing
from quantize.provenance import sha256_bytes


@dataclass(frozen=True)
class DecodedCrop:
    """What became of one image.

    Attributes:
        row: Its row in the file.
        sha256: Hash of the crop's bytes, or None where the image is unreadable.
        reason: Why it is unreadable, or None.
    """

    row: int
    sha256: str | None
    reason: str | None = None


@dataclass(frozen=True)
class DecodeJob:
    """Decodes images into a file that is there and large enough; callable in any process.

    Attributes:
        source: Where the images' bytes are.
        preprocessing: How they are cropped.
        path: The file to write in place.
        offset: Bytes before the first row.
    """

    source: ImageSource
    preprocessing: Preprocessing
    path: Path
    offset: int

    def __call__(self, images: Sequence[tuple[int, Locator]]) -> list[DecodedCrop]:
        """Write the crops of some (row, locator) pairs; a row whose image is unreadable is left as it is."""
        done = []
        with self.path.open("r+b", buffering=0) as stream:
            for row, locator in images:
                try:
                    crop = self.preprocessing.crop_image(decode_image(self.source.read(locator))).tobytes()
                except UnreadableImageError as error:
                    done.append(DecodedCrop(row, None, str(error)))
                    continue
                except OSError as error:
                    done.append(DecodedCrop(row, None, error.strerror or str(error)))
                    continue
                stream.seek(self.offset + row * len(crop))
                stream.write(crop)
                done.append(DecodedCrop(row, sha256_bytes(crop)))
        return done
