from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from quantize.errors import StorageError
from quantize.files import (
    append_bytes,
    remove_if_empty,
    remove_leftovers,
    replaced,
    scratch_folder,
    write_bytes,
    write_text,
    written,
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with room for 256 kB, or skip where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


def refused(number: int) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "report.md", "first")
    write_text(tmp_path / "deep" / "report.md", "second")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.md"]
    assert (tmp_path / "deep" / "report.md").read_text() == "second"


def test_only_an_empty_folder_is_removed(tmp_path: Path) -> None:
    write_text(tmp_path / "kept" / "mine.txt", "mine")
    (tmp_path / "empty").mkdir()
    for name in ("kept", "empty", "never there"):
        remove_if_empty(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "mine.txt").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that makes no folders")
def test_a_place_where_no_folder_can_be_made_is_named() -> None:
    with pytest.raises(StorageError, match="no folder can be made there") as caught:
        write_text(Path("/proc/run/report.md"), "")
    assert caught.value.where == "/proc/run"


def test_a_full_disk_is_told_with_where_how_much_and_what_to_do(small_disk: Path) -> None:
    write_text(small_disk / "report.md", "first")
    with pytest.raises(StorageError) as caught:
        write_bytes(small_disk / "report.md", bytes(10**6))
    assert str(caught.value) == (
        f"{small_disk}/report.md: the disk is full (No space left on device)\n"
        f"  found:    {caught.value.found}\n"
        "  expected: room for 1.0 MB\n"
        "  to do:    free some space there, or name another place with --output_model, or --output"
    )
    assert caught.value.found is not None
    assert caught.value.found.endswith(" free")
    assert [path.name for path in small_disk.iterdir()] == ["report.md"]
    assert (small_disk / "report.md").read_text() == "first"


def test_an_archive_that_does_not_fit_leaves_nothing_and_prints_nothing(
    small_disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unraised: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)

    def save() -> None:
        with written(small_disk / "arrays.npz") as stream:
            np.savez(stream, first=np.ones(50_000), second=np.ones(50_000))

    with pytest.raises(StorageError, match="the disk is full"):
        save()
    assert list(small_disk.iterdir()) == []
    assert unraised == []
    assert capsys.readouterr() == ("", "")


def test_an_archive_is_written_whole(tmp_path: Path) -> None:
    with written(tmp_path / "arrays.npz") as stream:
        np.savez_compressed(stream, first=np.arange(50_000), second=np.eye(100))
    with zipfile.ZipFile(tmp_path / "arrays.npz") as archive:
        assert archive.testzip() is None
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert (arrays["first"] == np.arange(50_000)).all()
        assert (arrays["second"] == np.eye(100)).all()


def test_a_line_that_does_not_fit_is_not_added_at_all(tmp_path: Path) -> None:
    journal = tmp_path / "new" / "trials.jsonl"
    append_bytes(journal, b"first\n", begin=True)
    with file_size_limit(10), pytest.raises(StorageError, match="a file may not grow that large") as caught:
        append_bytes(journal, b"second\n")
    assert caught.value.found == "a limit of 10 bytes for a file"
    assert "ulimit -f" in str(caught.value)
    assert journal.read_bytes() == b"first\n"
    append_bytes(journal, b"second\n")
    assert journal.read_bytes() == b"first\nsecond\n"


def test_what_has_gone_is_not_begun_anew_by_adding_to_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        append_bytes(tmp_path / "trials.jsonl", b"second\n")
    with pytest.raises(StorageError, match="the folder is gone"):
        append_bytes(tmp_path / "gone" / "trials.jsonl", b"second\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EIO, "the disk reports an error"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "no permission"),
        (errno.EMFILE, "too many files are open"),
    ],
)
@pytest.mark.parametrize("function", ["fsync", "rename"])
def test_what_is_not_on_the_disk_does_not_replace_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str, function: str
) -> None:
    write_text(tmp_path / "report.md", "first")
    if function == "fsync":
        monkeypatch.setattr(os, "fsync", refused(number))
    else:
        monkeypatch.setattr(Path, "replace", refused(number))
    with pytest.raises(StorageError, match=words) as caught:
        write_text(tmp_path / "report.md", "second")
    assert caught.value.where == str(tmp_path / "report.md")
    assert caught.value.advice
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert (tmp_path / "report.md").read_text() == "first"


def test_what_the_writer_reads_meanwhile_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    def copy() -> None:
        with replaced(tmp_path / "copy"):
            (tmp_path / "never there").read_bytes()

    with pytest.raises(FileNotFoundError, match="never there"):
        copy()
    assert list(tmp_path.iterdir()) == []


def test_what_the_writer_is_refused_elsewhere_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)

    def copy() -> None:
        with written(tmp_path / "moments.npz") as stream:
            stream.write(loop.read_bytes())

    with pytest.raises(OSError, match=r"loop\.jpg") as caught:
        copy()
    assert "moments" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["loop.jpg"]


def test_native_code_that_fails_in_a_full_place_for_temporary_files_is_told_as_that(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))

    def trace() -> None:
        with scratch_folder("profile") as folder:
            fill(folder / "trace.json")
            raise ValueError("half a trace")

    with pytest.raises(StorageError, match="the disk is full") as caught:
        trace()
    assert caught.value.where is not None
    assert caught.value.where.startswith(f"{small_disk}/quantize-profile-")
    assert caught.value.advice == "free some space there, or set TMPDIR to another folder"
    assert list(small_disk.iterdir()) == []


def test_an_array_that_could_not_be_written_whole_is_told_though_numpy_keeps_the_reason_to_itself() -> None:
    def save() -> None:
        with scratch_folder("resources") as folder, file_size_limit(4096):
            np.save(folder / "image.npy", np.zeros(30_000, np.float32))

    with pytest.raises(StorageError, match="requested and") as caught:
        save()
    assert caught.value.where is not None
    assert "quantize-resources-" in caught.value.where


def test_what_the_system_refuses_elsewhere_is_not_told_of_the_folder_that_is_open(tmp_path: Path) -> None:
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)

    def read() -> None:
        with scratch_folder("doctor"):
            loop.read_bytes()

    with pytest.raises(StorageError, match="symbolic links") as caught:
        read()
    assert caught.value.where == str(loop)
    assert "TMPDIR" not in str(caught.value.advice)


def test_a_failure_in_a_folder_with_room_is_the_failure_that_it_is() -> None:
    def fail() -> None:
        with scratch_folder("profile"):
            raise ValueError("half a trace")

    with pytest.raises(ValueError, match="half a trace"):
        fail()


def test_what_a_killed_process_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    leaving = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from quantize.files import replaced, scratch_folder\n"
        "place = Path(sys.argv[1])\n"
        "with replaced(place / 'report.md'), scratch_folder('ort', inside=place) as folder:\n"
        "    (folder / 'images.f32').touch()\n"
        "    os._exit(9)\n"
    )
    write_text(tmp_path / "report.md", "first")
    write_text(tmp_path / "crops" / ".crops.npy.12345678.part", "another process fills it")
    assert subprocess.run([sys.executable, "-c", leaving, str(tmp_path)], check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 4
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops", "report.md"]
    assert (tmp_path / "report.md").read_text() == "first"
    assert len(list((tmp_path / "crops").iterdir())) == 1
