from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.image_bounds import LARGEST_FILE
from quantize.data.preprocessing import PRESETS
from quantize.errors import DataError
from tests.data.layouts import Layouts

SMALL = PRESETS["caffe"].for_input_size(8, 8)


def reasons(path: Path, cache: Path) -> set[str]:
    images = open_images(path, None, classes=None)
    return {skipped.reason for skipped in crop_images(images, SMALL, cache, skip_unreadable=True).skipped}


def test_links_hidden_files_and_folders_are_no_images(layouts: Layouts) -> None:
    path = layouts.zip()
    link = zipfile.ZipInfo("val/link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("__MACOSX/val/._x.jpg", "x")
        archive.mkdir("val/folder.jpg") if hasattr(archive, "mkdir") else archive.writestr("val/folder.jpg/", "")
    assert len(open_images(path, None, classes=1000)) == len(layouts.images)


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "C:x.jpg", "c:\\\\x.jpg"])
def test_a_name_that_leads_out_of_the_archive_is_refused(layouts: Layouts, name: str) -> None:
    path = layouts.zip()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(DataError, match="points outside"):
        open_images(path, None, classes=1000)


def test_an_encrypted_archive_is_refused(layouts: Layouts) -> None:
    path = layouts.zip()
    content = bytearray(path.read_bytes())
    first = content.index(b"PK\x01\x02")
    content[first + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read") as caught:
        open_images(path, None, classes=1000)
    assert "encrypted" in str(caught.value.found)


def test_a_rare_method_of_compression_is_refused(layouts: Layouts) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        open_images(layouts.zip(method=zipfile.ZIP_BZIP2), None, classes=1000)
    assert "rare method" in str(caught.value.found)


def test_a_file_without_a_name_is_no_image(layouts: Layouts) -> None:
    path = layouts.zip()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x", "x")
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 28] = 0  # the length of its name, which its extra field takes up now
    content[entry + 30] += 1
    path.write_bytes(content)
    assert len(open_images(path, None, classes=1000)) == len(layouts.images)


@pytest.mark.parametrize("cut", [10, 3000])
def test_a_cut_off_archive_is_refused(layouts: Layouts, cut: int) -> None:
    path = layouts.zip()
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match="archive cannot be read"):
        open_images(path, None, classes=1000)


def test_what_claims_to_be_larger_than_any_image_is_not_unpacked(layouts: Layouts, tmp_path: Path) -> None:
    path = layouts.zip()
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("val/bomb.jpg", "w") as member:
        for _ in range(LARGEST_FILE // (1 << 24) + 1):
            member.write(bytes(1 << 24))
    (reason,) = reasons(path, tmp_path / "cache")
    assert f"at most {LARGEST_FILE:,}" in reason


def test_what_unpacks_to_more_than_it_claims_is_not_unpacked_further(tmp_path: Path, layouts: Layouts) -> None:
    path = layouts.zip()
    bomb = zlib.compressobj(9, wbits=-15)
    packed = bomb.compress(bytes(1 << 24)) + bomb.flush()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("val/bomb.jpg", packed)
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")  # the last member's: say that it is deflated and has 100 bytes
    struct.pack_into("<H", content, entry + 10, zipfile.ZIP_DEFLATED)
    struct.pack_into("<I", content, entry + 24, 100)
    path.write_bytes(content)
    assert reasons(path, tmp_path / "cache") == {"the archive is damaged: these are not the bytes that it lists"}


def test_a_damaged_member_is_an_unreadable_image(layouts: Layouts, tmp_path: Path) -> None:
    path = layouts.zip(method=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    assert reasons(path, tmp_path / "cache") == {"the archive is damaged: these are not the bytes that it lists"}


def test_an_archive_whose_files_share_their_bytes_is_refused_before_one_is_read(layouts: Layouts) -> None:
    path = layouts.zip()
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    entry = content[start : content.index(b"PK\x01\x02", start + 4)]
    name_length = struct.unpack_from("<H", entry, 28)[0]
    shared = b"".join(
        entry[:46] + f"{number:0{name_length - 4}d}.jpg".encode() + entry[46 + name_length :] for number in range(500)
    )
    path.write_bytes(
        content[:start] + shared + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 500, 500, len(shared), start, 0)
    )
    assert end > start
    with pytest.raises(DataError, match="lie over each other") as caught:
        open_images(path, None, classes=1000)
    assert (caught.value.found or "").startswith("500 files of ")
