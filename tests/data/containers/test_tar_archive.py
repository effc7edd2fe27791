from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.preprocessing import PRESETS
from quantize.errors import DataError
from tests.data.layouts import Layouts

SMALL = PRESETS["caffe"].for_input_size(8, 8)


def test_ids_of_a_tar_are_its_members(layouts: Layouts) -> None:
    assert {record.id for record in open_images(layouts.val_tar(), layouts.devkit(), classes=1000).records} == set(
        layouts.images
    )


@pytest.mark.parametrize("cut", [100, 3000, 30_000])
def test_a_cut_off_archive_is_refused(layouts: Layouts, cut: int) -> None:
    path = layouts.val_tar()
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="archive cannot be read"):
        open_images(path, layouts.label_file(), classes=1000)


def test_an_archive_cut_off_after_it_was_listed_has_unreadable_images(layouts: Layouts, tmp_path: Path) -> None:
    path = layouts.val_tar()
    images = open_images(path, layouts.label_file(), classes=1000)
    path.write_bytes(path.read_bytes()[:-30_000])
    crops = crop_images(images, SMALL, tmp_path / "cache", skip_unreadable=True)
    assert {skipped.reason for skipped in crops.skipped} == {"the archive is cut off"}


def test_links_hidden_files_and_folders_in_an_archive_are_no_images(layouts: Layouts) -> None:
    path = layouts.val_tar()
    with tarfile.open(path, "a") as archive:
        for name, kind in (
            ("link.jpg", tarfile.SYMTYPE),
            ("folder.jpg", tarfile.DIRTYPE),
            ("._x.jpg", tarfile.REGTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = "/etc/passwd"
            archive.addfile(member)
    assert len(open_images(path, None, classes=1000)) == len(layouts.images)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_a_negative_or_enormous_size_ends_the_listing(kind: bytes, tmp_path: Path) -> None:
    for size in (-1024, -512, 1 << 40):
        header = bytearray(tarfile.TarInfo("a.png").tobuf(tarfile.GNU_FORMAT))
        header[124:136] = (size % (1 << 96)).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
        header[156:157] = kind
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(10_240))
        with pytest.raises(DataError, match="archive cannot be read"):
            open_images(tmp_path / "a.tar", None, classes=None)


def test_a_negative_size_in_a_further_header_ends_the_listing(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.png")
        member.pax_headers = {"size": "-2048", "comment": "x"}
        archive.addfile(member)
    with pytest.raises(DataError, match="archive cannot be read"):
        open_images(tmp_path / "a.tar", None, classes=None)


def test_headers_without_end_before_one_file_are_told_in_words_about_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "chain.tar"
    record = b"12 path=a.p\n"
    header = tarfile.TarInfo("p")
    header.type, header.size = tarfile.XHDTYPE, len(record)
    path.write_bytes((header.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0")) * 5000 + bytes(1024))
    with pytest.raises(DataError, match="cannot be read: too many headers before one file"):
        open_images(path, None, classes=1000)


@pytest.mark.parametrize("size", [1 << 62, 10**20])
def test_a_size_that_no_file_system_holds_is_named(tmp_path: Path, size: int) -> None:
    path = tmp_path / "huge.tar"
    header = tarfile.TarInfo("a.png")
    header.pax_headers = {"size": str(size)}
    path.write_bytes(header.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    with pytest.raises(DataError, match=f"a header says that {size:,} bytes follow"):
        open_images(path, None, classes=1000)
