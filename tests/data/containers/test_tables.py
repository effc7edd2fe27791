from __future__ import annotations

import sys
from pathlib import Path

import pytest

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.preprocessing import PRESETS
from quantize.errors import DataError
from tests.data.layouts import Layouts

SMALL = PRESETS["caffe"].for_input_size(8, 8)


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


def test_rows_that_the_file_cannot_hold_are_refused_before_they_are_read(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = 200_000
    image = pyarrow.array([{"bytes": b"x", "path": "a"}]).take(pyarrow.array([0] * rows))
    pyarrow.parquet.write_table(pyarrow.table({"image": image, "label": [1] * rows}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"200,000 rows in .* bytes: these are no images"):
        open_images(tmp_path / "t.parquet", None, classes=None)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"image": [bytes(20_000_000)] * 4, "label": [1] * 4})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet", compression="zstd")
    with pytest.raises(DataError, match="decompression bomb"):
        open_images(tmp_path / "t.parquet", None, classes=None)


def test_offsets_beyond_the_file_are_damage_and_not_read(tmp_path: Path) -> None:
    import pyarrow

    batch = pyarrow.record_batch({"image": pyarrow.array([b"abc", b"def", b"ghi"], pyarrow.binary())})
    with pyarrow.OSFile(str(tmp_path / "t.arrow"), "wb") as file, pyarrow.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    content = (tmp_path / "t.arrow").read_bytes()
    whole, broken = (b"".join(n.to_bytes(4, "little") for n in (0, 3, 6, last)) for last in (9, 1 << 28))
    assert content.count(whole) == 1
    (tmp_path / "t.arrow").write_bytes(content.replace(whole, broken))
    with pytest.raises(DataError, match="tables cannot be read"):
        open_images(tmp_path / "t.arrow", None, classes=None)


@pytest.mark.parametrize("names", [[5, 6, 7], [b"\xff", b"a.png", b"b.png"], [None, None, None]])
def test_a_column_of_file_names_that_holds_no_text_names_nothing(
    layouts: Layouts, tmp_path: Path, names: list[object]
) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [
        {"bytes": content, "path": name}
        for (content, _), name in zip(list(layouts.images.values())[:3], names, strict=True)
    ]
    pyarrow.parquet.write_table(pyarrow.table({"image": rows, "label": [3] * 3}), tmp_path / "t.parquet")
    images = open_images(tmp_path / "t.parquet", None, classes=1000)
    assert [record.id for record in images.records] == ["t#000000", "t#000001", "t#000002"]


@pytest.mark.parametrize("other", ["labels of text", "names of numbers", "no labels"])
def test_a_later_table_of_other_columns_is_named(layouts: Layouts, tmp_path: Path, other: str) -> None:
    import pyarrow
    import pyarrow.parquet

    table = layouts.table().slice(0, 3)
    contents = [row["bytes"] for row in table["image"].to_pylist()]
    changed = {
        "labels of text": pyarrow.table({"image": table["image"], "label": ["a", "b", "c"]}),
        "names of numbers": pyarrow.table(
            {"image": [{"bytes": content, "path": 5} for content in contents], "label": [3] * 3}
        ),
        "no labels": table.select(["image"]),
    }[other]
    for number, kind in enumerate((table, changed)):
        pyarrow.parquet.write_table(kind, tmp_path / f"t-{number}.parquet")
    with pytest.raises(DataError, match="tables of different columns") as caught:
        open_images(tmp_path, None, classes=1000)
    assert caught.value.where == str(tmp_path / "t-1.parquet")
    assert "labels in 'label', as in the first file" in (caught.value.expected or "")
