"""Archives and tables of images: listed, and their first images read."""

from __future__ import annotations

import io
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pyarrow
import pyarrow.parquet
from PIL import Image

from fuzzing.target import Target
from quantize.data.containers.registry import open_images
from quantize.data.labels.devkit import _from_archive
from quantize.errors import QuantizeError
from quantize.packages.archive import read_archive, write_archive

_READ = 3


def _png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG")
    return stream.getvalue()


def _opened(path: Path) -> None:
    images = open_images(path, None, classes=1000)
    for record in images.records[:_READ]:
        try:
            images.source.read(record.locator)
        except OSError:  # how an image is told to be unreadable
            continue


def _archive(content: bytes, scratch: Path) -> None:
    if content[:2] == b"\x1f\x8b":
        path = scratch / "package.tar.gz"
        path.write_bytes(content)
        with suppress(QuantizeError):
            _from_archive(path)
        read_archive(path)
        return
    path = scratch / ("a.zip" if b"PK\x05\x06" in content[-4096:] else "a.tar")
    path.write_bytes(content)
    _opened(path)


def _archives() -> list[bytes]:
    png, seeds = _png(), []
    names = ("n01440764/a.png", "n01443537/b.png")
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
            for name in (*names, "l" * 120 + ("é" if form != tarfile.USTAR_FORMAT else "") + ".png"):
                member = tarfile.TarInfo(name if form != tarfile.USTAR_FORMAT else name[:90] + ".png")
                member.size = len(png)
                archive.addfile(member, io.BytesIO(png))
        seeds.append(stream.getvalue())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as packed:
            for name in (*names, "000.png", "000.cls"):
                packed.writestr(name, png if name.endswith("png") else b"7")
        seeds.append(stream.getvalue())
    place = Path(__file__).with_name("seed.tar.gz.tmp")
    try:
        write_archive(place, "model", {"model.onnx": b"x" * 100, "test_data_set_0/input_0.pb": png})
        seeds.append(place.read_bytes())
    finally:
        place.unlink(missing_ok=True)
    return seeds


def _table(content: bytes, scratch: Path) -> None:
    path = scratch / ("t.parquet" if content[:4] == b"PAR1" else "t.arrow")
    path.write_bytes(content)
    _opened(path)


def _tables() -> list[bytes]:
    rows = [{"bytes": _png(), "path": f"{number}.png"} for number in range(4)]
    table = pyarrow.table({"image": rows, "label": pyarrow.array([1, 2, 3, 4], pyarrow.int64())})
    flat = pyarrow.table({"jpg": [_png()] * 4, "cls": pyarrow.array([1, 2, None, 4], pyarrow.int32())})
    seeds = []
    for given in (table, flat):
        for compression in ("none", "snappy", "zstd", "gzip"):
            stream = io.BytesIO()
            pyarrow.parquet.write_table(given, stream, compression=compression)
            seeds.append(stream.getvalue())
        for packing in (None, "zstd", "lz4"):
            for make in (pyarrow.ipc.new_file, pyarrow.ipc.new_stream):
                stream = io.BytesIO()
                with make(stream, given.schema, options=pyarrow.ipc.IpcWriteOptions(compression=packing)) as writer:
                    writer.write_table(given)
                seeds.append(stream.getvalue())
    return seeds


ARCHIVES = Target(
    name="archives",
    what="tar and ZIP archives of images, packages and the devkit as .tar.gz",
    executions=50_000,
    seeds=_archives,
    run=_archive,
)
TABLES = Target(name="parquet", what="Parquet and Arrow files", executions=20_000, seeds=_tables, run=_table)
