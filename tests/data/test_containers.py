from __future__ import annotations

import gzip
import io
import pickle
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import PRESETS
from quantize.errors import DataError
from tests.data.layouts import Layouts

SMALL = PRESETS["caffe"].for_input_size(8, 8)

OPENED: dict[str, Callable[[Layouts], tuple[Path, Path | None]]] = {
    "flat folder with label file": lambda it: (it.flat(), it.label_file()),
    "flat folder with devkit": lambda it: (it.flat(), it.devkit()),
    "class folders": lambda it: (it.class_folders(), None),
    "class folders with label file": lambda it: (it.class_folders(), it.label_file()),
    "class folders with devkit": lambda it: (it.class_folders(), it.devkit()),
    "val tar with label file": lambda it: (it.val_tar(), it.label_file()),
    "val tar with devkit": lambda it: (it.val_tar(), it.devkit()),
    "val tar with devkit's data folder": lambda it: (it.val_tar(folder="val/"), it.devkit() / "data"),
    "val tar with devkit's archive": lambda it: (it.val_tar(), (it.devkit(), it.devkit_archive())[1]),
    "val tar with ground truth file": lambda it: (
        it.val_tar(),
        it.devkit() / "data" / "ILSVRC2012_validation_ground_truth.txt",
    ),
    "tar of class folders": lambda it: (it.class_tar(), None),
    "WebDataset": lambda it: (it.webdataset(), None),
    "WebDataset by pattern": lambda it: (it.webdataset() / "imagenet-val-*.tar", None),
    "Parquet": lambda it: (it.parquet(), None),
    "Parquet with label file": lambda it: (it.parquet(), it.label_file()),
    "Parquet, one file": lambda it: (it.parquet(shards=1) / "data" / "validation-00000-of-00001.parquet", None),
    "Arrow file format": lambda it: (it.arrow("file"), None),
    "Arrow stream format": lambda it: (it.arrow("stream"), None),
}


def opened(layouts: Layouts, layout: str) -> ImageSet:
    data, labels = OPENED[layout](layouts)
    return open_images(data, labels, classes=1000)


# Worker processes are tried with each kind of source once.
@pytest.mark.parametrize(
    ("layout", "workers"),
    [*((layout, 1) for layout in OPENED), ("WebDataset", 2), ("Parquet", 2), ("Arrow stream format", 2)],
)
def test_the_same_images_give_the_same_crops_in_every_layout(
    layouts: Layouts, layout: str, workers: int, tmp_path: Path
) -> None:
    images = opened(layouts, layout)
    crops = crop_images(images, SMALL, tmp_path / "cache", workers=workers)
    assert crops.labels is not None
    expected = dict(layouts.images.values())
    found = {images.read(index): int(crops.labels[index]) for index in range(len(images))}
    assert found == expected
    flat = crop_images(
        open_images(*OPENED["flat folder with label file"](type(layouts)(new(tmp_path), layouts.images)), classes=1000),
        SMALL,
        tmp_path / "cache",
    )
    assert crops.fingerprint == flat.fingerprint


def new(folder: Path) -> Path:
    (folder / "again").mkdir()
    return folder / "again"


@pytest.mark.parametrize("layout", ["val tar with devkit", "WebDataset", "Parquet", "Arrow file format"])
def test_a_container_is_decoded_once(layouts: Layouts, layout: str, tmp_path: Path) -> None:
    images = opened(layouts, layout)
    crop_images(images, SMALL, tmp_path / "cache")
    stages: list[str] = []
    crop_images(images, SMALL, tmp_path / "cache", progress=lambda stage, done, total: stages.append(stage))
    assert stages == []


@pytest.mark.parametrize("layout", ["val tar with label file", "Parquet", "Arrow stream format"])
def test_images_can_be_read_in_any_order_and_by_a_pickled_source(layouts: Layouts, layout: str) -> None:
    images = opened(layouts, layout)
    forward = [images.read(index) for index in range(len(images))]
    copy: ImageSet = pickle.loads(pickle.dumps(images))
    backward = [copy.read(index) for index in reversed(range(len(images)))]
    assert backward[::-1] == forward


def test_nothing_is_unpacked(layouts: Layouts, tmp_path: Path) -> None:
    data, labels = OPENED["val tar with label file"](layouts)
    before = sorted(tmp_path.rglob("*"))
    images = open_images(data, labels, classes=1000)
    images.read(0)
    assert sorted(tmp_path.rglob("*")) == before


def test_ids_of_a_tar_are_its_members(layouts: Layouts) -> None:
    assert {record.id for record in opened(layouts, "val tar with devkit").records} == set(layouts.images)


def test_a_flat_tar_without_labels_has_none(layouts: Layouts) -> None:
    assert not open_images(layouts.val_tar(folder="./val/"), None, classes=1000).labelled


def test_the_devkit_may_be_of_more_images_than_there_are(layouts: Layouts) -> None:
    devkit = layouts.devkit()
    for name in list(layouts.images)[::2]:
        del layouts.images[name]
    images = open_images(layouts.val_tar(), devkit, classes=1000)
    assert {record.id: record.label for record in images.records} == {
        name: label for name, (_, label) in layouts.images.items()
    }


def test_a_devkit_of_other_images_is_refused(layouts: Layouts) -> None:
    devkit = layouts.devkit()
    layouts.images = {f"photo{n}.jpg": image for n, image in enumerate(list(layouts.images.values())[:5])}
    with pytest.raises(DataError, match="not that of these images") as caught:
        open_images(layouts.val_tar(), devkit, classes=1000)
    assert caught.value.found == "23 lines for 5 images"


def test_an_id_that_is_no_class_is_named_with_its_line(layouts: Layouts) -> None:
    devkit = layouts.devkit()
    truth = devkit / "data" / "ILSVRC2012_validation_ground_truth.txt"
    lines = truth.read_text().split()
    truth.write_text("\n".join([*lines[:4], "1001", *lines[5:]]))
    with pytest.raises(DataError, match="'1001' is no ILSVRC2012 id") as caught:
        open_images(layouts.val_tar(), devkit, classes=1000)
    assert caught.value.where == f"{truth}:5"


def test_ground_truth_without_meta_mat_is_explained(layouts: Layouts) -> None:
    devkit = layouts.devkit()
    (devkit / "data" / "meta.mat").unlink()
    with pytest.raises(DataError, match=r"meta\.mat is missing"):
        open_images(layouts.val_tar(), devkit, classes=1000)


@pytest.mark.parametrize("content", [b"", b"junk" * 100])
def test_a_damaged_meta_mat_is_said_so(layouts: Layouts, content: bytes) -> None:
    devkit = layouts.devkit()
    (devkit / "data" / "meta.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"meta\.mat cannot be read"):
        open_images(layouts.val_tar(), devkit, classes=1000)


def test_a_folder_or_archive_that_is_no_devkit_is_said_so(layouts: Layouts) -> None:
    with pytest.raises(DataError, match="this folder is no devkit"):
        open_images(layouts.val_tar(), layouts.root, classes=1000)
    with pytest.raises(DataError, match="this archive is no devkit"):
        open_images(layouts.val_tar(), layouts.class_tar(), classes=1000)


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


def test_samples_of_the_same_name_in_two_shards_stay_apart(layouts: Layouts) -> None:
    folder = layouts.webdataset(shards=1)
    (shard,) = folder.glob("*.tar")
    shutil.copy(shard, folder / "imagenet-val-000001.tar")
    images = open_images(folder, None, classes=1000)
    assert len(images) == 2 * len(layouts.images)
    assert images.records[0].id == "imagenet-val-000000/000000.jpg"


def test_tables_without_file_names_are_named_by_row(layouts: Layouts, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    contents = [content for content, _ in layouts.images.values()]
    pyarrow.parquet.write_table(pyarrow.table({"jpg": contents, "cls": [5] * 23}), tmp_path / "t.parquet")
    images = open_images(tmp_path / "t.parquet", None, classes=1000)
    assert [record.id for record in images.records[:2]] == ["t#000000", "t#000001"]
    assert [images.read(index) for index in range(23)] == contents
    assert {record.label for record in images.records} == {5}


def test_a_table_without_labels_has_none(layouts: Layouts, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = layouts.table()
    hidden = pyarrow.table({"image": table["image"], "label": [-1] * len(table)})
    for number, kind in enumerate((hidden, table.select(["image"]))):
        pyarrow.parquet.write_table(kind, tmp_path / f"t{number}.parquet")
        assert not open_images(tmp_path / f"t{number}.parquet", None, classes=1000).labelled


def test_rows_without_label_or_out_of_range_are_named(layouts: Layouts, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    labels = [-1, None, 1000, *[3] * 20]
    pyarrow.parquet.write_table(
        pyarrow.table({"image": layouts.table()["image"], "label": labels}), tmp_path / "t.parquet"
    )
    with pytest.raises(DataError, match="3 problems") as caught:
        open_images(tmp_path / "t.parquet", None, classes=1000)
    assert "ILSVRC2012_val_00000003.JPEG: the label 1000 is not in 0 to 999" in str(caught.value.found)


def test_a_row_without_bytes_is_an_unreadable_image(layouts: Layouts, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = layouts.table()["image"].to_pylist()
    rows[4]["bytes"] = None
    pyarrow.parquet.write_table(pyarrow.table({"image": rows, "label": [3] * 23}), tmp_path / "t.parquet")
    crops = crop_images(
        open_images(tmp_path / "t.parquet", None, classes=1000), SMALL, tmp_path / "cache", skip_unreadable=True
    )
    assert [skipped.reason for skipped in crops.skipped] == ["the row holds no image bytes"]


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_a_damaged_table_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PAR1 this is none")
    with pytest.raises(DataError, match="tables cannot be read"):
        open_images(tmp_path / name, None, classes=1000)


def test_a_table_without_images_lists_its_columns(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "label": [1]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="no column of images") as caught:
        open_images(tmp_path / "t.parquet", None, classes=1000)
    assert caught.value.found == "text (string), label (int64)"


def test_without_pyarrow_the_extra_is_named(layouts: Layouts, monkeypatch: pytest.MonkeyPatch) -> None:
    data = layouts.parquet()
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="need pyarrow") as caught:
        open_images(data, None, classes=1000)
    assert "quantize[data]" in str(caught.value.advice)


def test_several_splits_in_one_folder_are_told_apart_by_a_pattern(layouts: Layouts) -> None:
    folder = layouts.parquet() / "data"
    shutil.copy(folder / "validation-00000-of-00002.parquet", folder / "test-00000-of-00001.parquet")
    with pytest.raises(DataError, match="several data sets") as caught:
        open_images(folder.parent, None, classes=1000)
    assert caught.value.found == "test, validation"
    assert len(open_images(folder / "validation*.parquet", None, classes=1000)) == 23


def test_a_compressed_archive_says_to_uncompress_it(layouts: Layouts, tmp_path: Path) -> None:
    path = tmp_path / "val.tar.gz"
    path.write_bytes(gzip.compress(layouts.val_tar().read_bytes()))
    with pytest.raises(DataError, match="no container of images") as caught:
        open_images(path, None, classes=1000)
    assert "uncompress" in str(caught.value.advice)


def test_a_pattern_that_matches_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not there") as caught:
        open_images(tmp_path / "val-*.parquet", None, classes=1000)
    assert caught.value.where == str(tmp_path / "val-*.parquet")


@pytest.mark.real
def test_the_real_images_give_the_same_crops_from_every_container(real_layouts: Layouts, tmp_path: Path) -> None:
    sized = PRESETS["caffe"].for_input_size(64, 64)
    real_layouts.images = dict(list(real_layouts.images.items())[::4])
    devkit = real_layouts.devkit()
    found = [
        crop_images(open_images(data, labels, classes=1000), sized, tmp_path / "cache")
        for data, labels in (
            (real_layouts.flat(), real_layouts.label_file()),
            (real_layouts.class_folders(), None),
            (real_layouts.val_tar(), devkit),
            (real_layouts.parquet(rows_per_group=100), None),
            (real_layouts.webdataset(), None),
            (real_layouts.arrow("stream"), None),
        )
    ]
    assert [len(crops) for crops in found] == [125] * 6
    assert len({crops.fingerprint for crops in found}) == 1
    assert all(np.array_equal(np.bincount(crops.labels), np.bincount(found[0].labels)) for crops in found)  # type: ignore[arg-type]
