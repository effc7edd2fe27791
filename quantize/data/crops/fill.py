"""Update a crop cache: valid rows stay, the rest is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quantize.data.chunks import map_chunks
from quantize.data.crops.cache import CachedRow, CropIndex, allocate, decoder_version, header, proven_rows
from quantize.data.decoding import UnreadableImageError, decode_image
from quantize.data.image_set import ImageSet, ImageSource, Locator
from quantize.data.preprocessing import Preprocessing
from quantize.files import replaced
from quantize.progress import Progress
from quantize.provenance import sha256_bytes


@dataclass(frozen=True)
class DecodedCrop:
    """What became of one image.

    Attributes:
        row: Its row in the file.
        sha256: Hash of the crop's bytes, or None if the image is unreadable.
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


_STAGE = "decode images"


def fill_crops(
    images: ImageSet, preprocessing: Preprocessing, path: Path, *, workers: int | None, progress: Progress
) -> tuple[list[str | None], dict[int, str]]:
    """Make ``path`` the complete file of the images' crops; the caller holds its lock.

    Args:
        images: The images; row i of the file is image i.
        preprocessing: With its sizes decided.
        path: The ``.npy`` file; its index lies next to it with the suffix ``.json``.
        workers: Number of processes, or None for as many as are worth it.
        progress: Called with the number of images decoded, of those that need it.

    Returns:
        SHA-256 of each row's crop, None for an unreadable image; and the reason for each of these, by row.

    Raises:
        OSError: The file cannot be written.
        DataError: The disk is full, or a worker died.
    """
    shape = (len(images), preprocessing.side, preprocessing.side, preprocessing.channels)
    states = [_state(images, row) for row in range(len(images))]
    old = _trusted_index(path, len(images))
    proven = {row for row, _ in proven_rows(path, shape, old) if old.rows[row].state == states[row]}
    digests = [old.rows[row].sha256 if row in proven else None for row in range(len(images))]
    todo = [row for row in range(len(images)) if row not in proven]
    reasons: dict[int, str] = {}
    if not todo:
        return digests, reasons
    # Rows that hold nothing yet can be written in place: no reader of the file looks at them.
    in_place = bool(proven) and all(old.rows[row].sha256 is None for row in todo)
    with _same(path) if in_place else _copy(path, shape, old) as target:
        job = DecodeJob(images.source, preprocessing, target, len(header(shape)))
        progress(_STAGE, 0, len(todo))
        done = 0
        for decoded in map_chunks(job, images, todo, workers):
            for crop in decoded:
                digests[crop.row] = crop.sha256
                if crop.reason is not None:
                    reasons[crop.row] = crop.reason
            done += len(decoded)
            progress(_STAGE, done, len(todo))
    rows = tuple(CachedRow(state, digest) for state, digest in zip(states, digests, strict=True))
    CropIndex(decoder_version(), rows).write(path.with_suffix(".json"))
    return digests, reasons


def _trusted_index(path: Path, count: int) -> CropIndex:
    index = CropIndex.read(path.with_suffix(".json"))
    if index is None or index.decoder != decoder_version() or len(index.rows) != count:
        return CropIndex(decoder_version(), ())
    return index


def _state(images: ImageSet, row: int) -> tuple[int, ...]:
    try:
        return images.source.state(images.records[row].locator)
    except OSError:  # gone since it was listed: decoding it will say so
        return ()


@contextmanager
def _same(path: Path) -> Iterator[Path]:
    yield path


@contextmanager
def _copy(path: Path, shape: Sequence[int], old: CropIndex) -> Iterator[Path]:
    """Yield a new file with the rows that are proven in the old one; it takes the old one's place on success."""
    for stale in path.parent.glob(f".{path.name}.*.part"):  # of a run that was killed
        stale.unlink(missing_ok=True)
    with replaced(path) as temporary:
        offset = allocate(temporary, shape)
        with temporary.open("r+b") as stream:
            for row, content in proven_rows(path, shape, old):
                stream.seek(offset + row * len(content))
                stream.write(content)
        yield temporary
