from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantize.errors import DataError
from quantize.packages.archive import read_archive, write_archive

_FILES = {"model.onnx": b"model", "test_data_set_0/input_0.pb": b"x" * 700, "README.md": b""}


def _member(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, len(content), link
    return member


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Path]:
    def write(*members: tuple[tarfile.TarInfo, bytes], tar_format: int = tarfile.USTAR_FORMAT) -> Path:
        path = tmp_path / "evil.tar.gz"
        with tarfile.open(path, "w:gz", format=tar_format) as archive:
            for member, content in members:
                archive.addfile(member, io.BytesIO(content))
        return path

    return write


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.tar.gz", "net-12", _FILES)
    assert read_archive(tmp_path / "a.tar.gz") == ("net-12", _FILES)
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert archive.getnames() == [f"net-12/{name}" for name in _FILES]


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_archive(tmp_path / f"{name}.tar.gz", "net", _FILES)
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


@pytest.mark.parametrize(
    "name", ["../out", "net/../../out", "/etc/passwd", "net\\..\\out", "C:/out", "net/a\x1b[2Jb", ".."]
)
def test_paths_that_lead_out_are_refused(packed: Callable[..., Path], name: str) -> None:
    with pytest.raises(DataError, match="leads out"):
        read_archive(packed((_member("net/model.onnx"), b""), (_member(name), b"")))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
        (tarfile.GNUTYPE_SPARSE, "type"),
    ],
)
def test_what_is_no_plain_file_is_refused(packed: Callable[..., Path], kind: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_archive(packed((_member("net/a", kind, link="/etc/passwd"), b"")))


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_names_in_extra_headers_are_refused(packed: Callable[..., Path], tar_format: int) -> None:
    with pytest.raises(DataError, match="refused"):
        read_archive(packed((_member("net/" + "long" * 80), b""), tar_format=tar_format))


def test_a_bomb_is_refused_before_it_is_unpacked(packed: Callable[..., Path]) -> None:
    content = bytes(40 << 20)
    path = packed((_member("net/model.onnx", content=content), content))
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match="bomb"):
        read_archive(path)


def test_a_size_that_lies_is_refused(tmp_path: Path) -> None:
    for size, said in ((1 << 40, "bomb"), (5000, "cut off|whole")):
        member = tarfile.TarInfo("net/model.onnx")
        member.size = size
        header = member.tobuf(tarfile.GNU_FORMAT)
        (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header + bytes(1024)))
        with pytest.raises(DataError, match=said):
            read_archive(tmp_path / "a.tar.gz")


def test_one_folder_and_each_file_once(packed: Callable[..., Path]) -> None:
    for members, said in (
        ((_member("a/x"), _member("b/x")), "one folder"),
        ((_member("a/x"), _member("a/x")), "each file once"),
        ((_member("x"),), "one folder"),
        ((), "one folder"),
        (tuple(_member(f"a/{number}") for number in range(65)), "64"),
    ):
        with pytest.raises(DataError, match=said):
            read_archive(packed(*((member, b"") for member in members)))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"PK\x03\x04 this is a zip")
    with pytest.raises(DataError, match="whole"):
        read_archive(tmp_path / "a.tar.gz")
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(b"x" * 2048))
    with pytest.raises(DataError, match="not a tar archive"):
        read_archive(tmp_path / "a.tar.gz")
    with pytest.raises(DataError, match="cannot be read"):
        read_archive(tmp_path / "none.tar.gz")


def test_one_changed_byte_of_a_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    write_archive(path, "net", _FILES)
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[plain.index(b"model", 512)] ^= 1
    whole = path.read_bytes()
    changed = gzip.compress(bytes(plain))
    path.write_bytes(changed[:-8] + whole[-8:])  # the checksum and size of what was packed
    with pytest.raises(DataError, match="CRC"):
        read_archive(path)
    path.write_bytes(gzip.compress(gzip.decompress(whole) + b"more"))
    with pytest.raises(DataError, match="behind the archive's end"):
        read_archive(path)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_archive_is_refused_or_unharmed(tmp_path: Path, place: int, value: int, cut: bool) -> None:
    path = tmp_path / "a.tar.gz"
    write_archive(path, "net", _FILES)
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place] = value
    path.write_bytes(content[:place] if cut else content)
    try:
        archive = read_archive(path)
    except DataError:
        return
    assert archive == ("net", _FILES)


@pytest.mark.parametrize("size", [-256, -1, -(2**60)])
def test_a_negative_size_is_refused(tmp_path: Path, size: int) -> None:
    header = bytearray(_member("net/model.onnx").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = size.to_bytes(12, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "evil.tar.gz"
    path.write_bytes(gzip.compress(bytes(header) + bytes(2048)))
    with pytest.raises(DataError, match="the archive is refused") as caught:
        read_archive(path)
    assert caught.value.found == f"net/model.onnx: of {size:,} bytes"


def test_folders_without_end_are_refused(packed: Callable[..., Path]) -> None:
    folders = [(_member(f"net/{number}", tarfile.DIRTYPE), b"") for number in range(1001)]
    with pytest.raises(DataError, match="the archive is refused") as caught:
        read_archive(packed((_member("net/model.onnx"), b""), *folders))
    assert caught.value.found == "more than 1,000 entries"
