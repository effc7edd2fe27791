"""Which files a data path names: one, those of a pattern, or the shards in a folder."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from quantize.errors import DataError

_KINDS = (".parquet", ".arrow", ".tar")
_NUMBER = re.compile(r"[-_.]?[0-9]+(-of-[0-9]+)?(-[0-9a-f]{16})?$")


def find_shards(data_path: Path) -> tuple[Path, ...]:
    """Return the tar, Parquet or Arrow files that a path names, sorted; none for a folder of images.

    A folder's own files count, or those in its folder ``data`` (the hub's layout); a path with ``*`` is a pattern.

    Raises:
        DataError: The path is another kind of file, several kinds are mixed, or a folder holds several splits.
    """
    if data_path.is_dir():
        for folder in (data_path, data_path / "data"):
            found = sorted(path for path in folder.glob("*") if path.suffix in _KINDS and not path.name.startswith("."))
            if found:
                _refuse_splits(found, folder)
                return _one_kind(found, data_path)
        return ()
    if data_path.exists():
        return _one_kind([data_path], data_path)
    matched = sorted(Path(name) for name in glob.glob(str(data_path)))  # noqa: PTH207 - the pattern may be absolute
    if not matched:
        raise DataError(
            "the images are not there", where=str(data_path), expected="an existing folder, archive or table"
        )
    return _one_kind(matched, data_path)


def _one_kind(paths: Sequence[Path], data_path: Path) -> tuple[Path, ...]:
    kinds = sorted({path.suffix for path in paths})
    if len(kinds) == 1 and kinds[0] in _KINDS:
        return tuple(paths)
    compressed = any(path.name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")) for path in paths)
    raise DataError(
        "these files cannot be read as images"
        if len(paths) > 1
        else "this file is no container of images that is read",
        where=str(data_path),
        found=", ".join(path.name for path in paths[:3]) + (", …" if len(paths) > 3 else ""),
        expected="a folder, uncompressed tar archives, Parquet files or Arrow files, of one kind",
        advice="uncompress the archive to a .tar: compressed ones can only be read from the start"
        if compressed
        else None,
    )


def _refuse_splits(paths: Sequence[Path], folder: Path) -> None:
    splits = sorted({_NUMBER.sub("", path.stem) for path in paths})
    if len(splits) > 1 and len({path.suffix for path in paths}) == 1 and not _all_wordnet(splits):
        raise DataError(
            "several data sets in one folder",
            where=str(folder),
            found=", ".join(splits[:5]) + (", …" if len(splits) > 5 else ""),
            expected="files of one",
            advice=f"name them by a pattern, such as '{folder / splits[-1]}*{paths[0].suffix}'",
        )


def _all_wordnet(names: Sequence[str]) -> bool:
    return all(re.fullmatch("n[0-9]{8}|n", name) for name in names)
