from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from quantize.data.containers.registry import open_images
from quantize.errors import DataError
from tests.data.layouts import Layouts


def test_a_flat_tar_without_labels_has_none(layouts: Layouts) -> None:
    assert not open_images(layouts.val_tar(folder="./val/"), None, classes=1000).labelled


def test_a_name_that_an_archive_holds_twice_is_an_error(layouts: Layouts) -> None:
    path = layouts.val_tar()
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo(next(iter(layouts.images))))
    with pytest.raises(DataError, match="same name"):
        open_images(path, None, classes=1000)


def test_archives_named_by_class_give_the_labels(layouts: Layouts, tmp_path: Path) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    for wordnet_id in ("n01440764", "n15075141"):
        layouts.val_tar().rename(folder / f"{wordnet_id}.tar")
    images = open_images(folder, None, classes=1000)
    assert {(record.id.split("/")[0], record.label) for record in images.records} == {
        ("n01440764", 0),
        ("n15075141", 999),
    }


def test_an_archive_of_archives_says_to_unpack_it_once(layouts: Layouts, tmp_path: Path) -> None:
    inner = layouts.val_tar()
    with tarfile.open(tmp_path / "train.tar", "w") as archive:
        archive.add(inner, "n01440764.tar")
    with pytest.raises(DataError, match="archive of archives") as caught:
        open_images(tmp_path / "train.tar", None, classes=1000)
    assert "unpack it once" in str(caught.value.advice)


@pytest.mark.parametrize(
    ("member", "content", "problem"),
    [
        ("000003.cls", b"tench", "b'tench' is not an integer"),
        ("000003.cls", b"1000", "the label 1000 is not in 0 to 999"),
        ("000003.cls", None, "no .cls member"),
        ("000003.png", b"x", "another image, 000003.jpg"),
    ],
)
def test_a_sample_of_a_webdataset_that_is_wrong_is_named(
    layouts: Layouts, tmp_path: Path, member: str, content: bytes | None, problem: str
) -> None:
    (shard,) = layouts.webdataset(shards=1).glob("*.tar")
    with tarfile.open(shard) as archive:
        files = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
    if content is None:
        del files[member]
    else:
        files[member] = content
    with tarfile.open(shard, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    with pytest.raises(DataError) as caught:
        open_images(shard, None, classes=1000)
    assert problem in caught.value.problem
    assert "000003" in str(caught.value.where)


def test_a_damaged_label_of_a_sample_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"a.png": b"x", "a.cls": b"777", "b.png": b"x", "b.cls": b"1"}, damage=b"777")
    with pytest.raises(DataError, match="cls member cannot be read: the archive is damaged") as caught:
        open_images(path, None, classes=1000)
    assert caught.value.where == f"{path}: a.png"


def test_a_damaged_label_file_in_an_archive_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"a.png": b"x", "val.txt": b"a.png 777"}, damage=b"777")
    with pytest.raises(DataError, match="label list in the archive cannot be read") as caught:
        open_images(path, None, classes=1000)
    assert caught.value.where == f"{path}/val.txt"


def zipped(folder: Path, files: dict[str, bytes], *, damage: bytes) -> Path:
    """Return an archive of stored files, some bytes of which are not those that it lists."""
    path = folder / "damaged.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    path.write_bytes(path.read_bytes().replace(damage, bytes(len(damage))))
    return path


def test_samples_of_the_same_name_in_two_shards_stay_apart(layouts: Layouts) -> None:
    folder = layouts.webdataset(shards=1)
    (shard,) = folder.glob("*.tar")
    shutil.copy(shard, folder / "imagenet-val-000001.tar")
    images = open_images(folder, None, classes=1000)
    assert len(images) == 2 * len(layouts.images)
    assert images.records[0].id == "imagenet-val-000000/000000.jpg"


@pytest.mark.parametrize("name", ["val.txt", "lists/labels.txt"])
def test_a_flat_archive_may_hold_its_label_file(layouts: Layouts, name: str) -> None:
    path = layouts.val_tar()
    with tarfile.open(path, "a") as archive:
        archive.add(layouts.label_file(), name)
    images = open_images(path, None, classes=1000)
    assert {record.id: record.label for record in images.records} == {
        image: label for image, (_, label) in layouts.images.items()
    }
    assert images.notes == (f"labels come from {name} in the archive",)


def test_a_wrong_line_of_a_label_file_in_an_archive_is_named(layouts: Layouts, tmp_path: Path) -> None:
    path = layouts.val_tar()
    (tmp_path / "wrong.txt").write_text("ILSVRC2012_val_00000001.JPEG tench\n")
    with tarfile.open(path, "a") as archive:
        archive.add(tmp_path / "wrong.txt", "val.txt")
    with pytest.raises(DataError, match="'tench'") as caught:
        open_images(path, None, classes=1000)
    assert caught.value.where == f"{path}/val.txt:1"


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "a\\..\\x.jpg"])
def test_a_name_that_leads_out_of_the_archive_is_refused(layouts: Layouts, name: str) -> None:
    path = layouts.val_tar()
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(DataError, match="points outside") as caught:
        open_images(path, None, classes=1000)
    assert caught.value.found == repr(name)
