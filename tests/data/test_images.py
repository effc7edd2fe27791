from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.data.containers.registry import open_images
from quantize.data.labels.classes import class_names, wordnet_ids
from quantize.errors import DataError

Flat = Callable[[int], tuple[Path, Path]]
Picture = Callable[..., bytes]


def labels_of(folder: Path, text: str, *, classes: int | None = 1000, encoding: str = "utf-8") -> dict[str, int | None]:
    label_file = folder.parent / "labels.txt"
    label_file.write_bytes(text.encode(encoding))
    return {record.id: record.label for record in open_images(folder, label_file, classes=classes).records}


@pytest.fixture
def pictures(tmp_path: Path, picture: Picture) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "two words.jpg", "c  d.jpg"):
        (folder / name).write_bytes(picture(1))
    return folder


def test_names_may_hold_spaces_and_any_white_space_parts_the_label(pictures: Path) -> None:
    text = "a.jpg\t5\r\n\n   \nb.jpg    7 \ntwo words.jpg 999\nc  d.jpg\t \t0"
    assert labels_of(pictures, text) == {"a.jpg": 5, "b.jpg": 7, "c  d.jpg": 0, "two words.jpg": 999}


def test_a_byte_order_mark_and_old_line_ends_do_no_harm(pictures: Path) -> None:
    assert labels_of(pictures, "a.jpg 5\rb.jpg 7\r", encoding="utf-8-sig") == {"a.jpg": 5, "b.jpg": 7}


def test_images_come_sorted_by_name_whatever_the_order_of_the_lines(pictures: Path) -> None:
    assert list(labels_of(pictures, "b.jpg 1\na.jpg 2\n")) == ["a.jpg", "b.jpg"]


def test_images_without_a_line_are_left_out_and_counted(pictures: Path) -> None:
    label_file = pictures / "val.txt"
    label_file.write_text("a.jpg 5\n")
    images = open_images(pictures, label_file, classes=1000)
    assert len(images) == 1
    assert images.notes == (f"images in {pictures} that {label_file} does not name, left out: 3",)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a.jpg", "no label after 'a.jpg'"),
        ("a.jpg tench", "the label 'tench' of 'a.jpg' is not an integer"),
        ("a.jpg 3.0", "the label '3.0' of 'a.jpg' is not an integer"),
        ("a.jpg ３", "the label '３' of 'a.jpg' is not an integer"),
        ("a.jpg 10", "the label 10 of 'a.jpg' is not in 0 to 9"),
        ("a.jpg -1", "the label -1 of 'a.jpg' is not in 0 to 9"),
        ("b.jpg 3", "'b.jpg' is named again, after line 1"),
        ("./b.jpg 3", "'b.jpg' is named again, after line 1"),
        ("gone.jpg 3", "no image 'gone.jpg'"),
        ("A.JPEG 3", "no image 'A.JPEG' (there is 'a.jpg')"),
    ],
)
def test_a_wrong_line_is_named_with_its_number(pictures: Path, line: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        labels_of(pictures, f"b.jpg 1\n\n{line}\n", classes=10)
    assert caught.value.where == f"{pictures.parent / 'labels.txt'}:3"
    assert caught.value.problem == problem


def test_without_a_model_any_label_from_0_is_taken(pictures: Path) -> None:
    assert labels_of(pictures, "a.jpg 123456", classes=None) == {"a.jpg": 123456}
    with pytest.raises(DataError, match="not in 0 to 2147483647"):
        labels_of(pictures, "a.jpg 99999999999", classes=None)


def test_the_first_ten_problems_of_all_kinds_are_listed_in_order_with_the_count(pictures: Path) -> None:
    lines = ["a.jpg 1", "b.jpg", "a.jpg 2", *(f"gone{number}.jpg 1" for number in range(12)), "b.jpg x"]
    with pytest.raises(DataError) as caught:
        labels_of(pictures, "\n".join(lines), classes=10)
    label_file = pictures.parent / "labels.txt"
    assert caught.value.problem == f"15 problems in {label_file} with {pictures}"
    listed = str(caught.value.found).split("\n    ")[1:]
    assert [line.split(": ")[0] for line in listed[:-1]] == [f"{label_file}:{line}" for line in range(2, 12)]
    assert listed[-1] == "and 5 more"


def test_labels_that_count_from_1_are_recognised(pictures: Path) -> None:
    with pytest.raises(DataError) as caught:
        labels_of(pictures, "a.jpg 1\nb.jpg 10\n", classes=10)
    assert "count from 1" in str(caught.value.advice)


@pytest.mark.parametrize(
    ("content", "problem"), [(b"\n \n", "the label file is empty"), (b"a.jpg 1\nb.jpg \xff\xd8 2", "not UTF-8")]
)
def test_a_label_file_without_text_is_refused(pictures: Path, content: bytes, problem: str) -> None:
    label_file = pictures / "labels"
    label_file.write_bytes(content)
    with pytest.raises(DataError, match=problem) as caught:
        open_images(pictures, label_file, classes=None)
    assert str(label_file) in str(caught.value.where)


def test_a_label_file_or_folder_that_is_not_there_is_named(pictures: Path) -> None:
    for data, labels in ((pictures, pictures / "none.txt"), (pictures / "none", None), (pictures / "a.jpg", None)):
        with pytest.raises(DataError) as caught:
            open_images(data, labels, classes=None)
        assert caught.value.where == str(labels or data)


def test_a_flat_folder_without_label_file_has_no_labels(pictures: Path) -> None:
    (pictures / "readme.md").write_text("hello")
    (pictures / ".hidden.jpg").touch()
    images = open_images(pictures, None, classes=1000)
    assert not images.labelled
    assert [record.label for record in images.records] == [None] * 4
    assert images.notes == ("passed over, no images by their names: 1 (readme.md)",)


def class_folders(root: Path, picture: Picture, folders: list[str]) -> Path:
    for index, name in enumerate(folders):
        (root / name).mkdir(parents=True)
        (root / name / f"picture{index}.jpg").write_bytes(picture(index))
    return root


def test_class_folders_named_by_wordnet_id_map_to_imagenets_labels(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["n15075141", "n01440764", "n01484850"])
    images = open_images(root, None, classes=1000)
    assert [(record.id, record.label) for record in images.records] == [
        ("n01440764/picture1.jpg", 0),
        ("n01484850/picture2.jpg", 2),
        ("n15075141/picture0.jpg", 999),
    ]


def test_a_wordnet_id_outside_imagenet_is_refused(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["n01440764", "n00000001"])
    with pytest.raises(DataError, match="1 class folders are none of") as caught:
        open_images(root, None, classes=1000)
    assert caught.value.found == "n00000001"


def test_other_class_folders_count_by_rank_when_there_are_as_many_as_classes(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["dog", "cat", "emu"])
    images = open_images(root, None, classes=3)
    assert {record.id.split("/")[0]: record.label for record in images.records} == {"cat": 0, "dog": 1, "emu": 2}
    assert images.notes == ("labels are the ranks of the 3 class folders, sorted by name",)
    with pytest.raises(DataError, match="3 class folders for a model of 1,000 classes"):
        open_images(root, None, classes=1000)


def test_class_folders_that_are_numbers_are_sorted_as_numbers(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, [str(number) for number in range(12)])
    images = open_images(root, None, classes=12)
    assert all(record.label == int(record.id.split("/")[0]) for record in images.records)


def test_a_class_folder_without_images_keeps_its_rank_and_is_noted(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["ant", "cat"])
    (root / "bee").mkdir()
    images = open_images(root, None, classes=3)
    assert [record.label for record in images.records] == [0, 2]
    assert "class folders without images: 1" in images.notes


def test_a_label_file_decides_over_class_folders_and_finds_names_by_their_last_part(
    tmp_path: Path, picture: Picture
) -> None:
    root = class_folders(tmp_path / "val", picture, ["n01440764", "n01484850"])
    assert labels_of(root, "picture1.jpg 7\nval/picture0.jpg 8\n") == {
        "n01440764/picture0.jpg": 8,
        "n01484850/picture1.jpg": 7,
    }


def test_a_name_that_two_folders_have_is_ambiguous(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["x", "y"])
    (root / "x" / "picture1.jpg").write_bytes(picture(3))
    with pytest.raises(DataError, match="2 folders have one of that name"):
        labels_of(root, "picture1.jpg 7\n")
    assert labels_of(root, "y/picture1.jpg 7\n") == {"y/picture1.jpg": 7}


def test_images_beside_class_folders_are_ambiguous(tmp_path: Path, picture: Picture) -> None:
    root = class_folders(tmp_path / "val", picture, ["x", "y"])
    (root / "z.jpg").write_bytes(picture(3))
    with pytest.raises(DataError, match="images stand beside folders"):
        open_images(root, None, classes=2)


def test_a_folder_above_the_images_is_recognised(flat: Flat) -> None:
    folder, _ = flat(3)
    with pytest.raises(DataError, match="all images are in one folder") as caught:
        open_images(folder.parent, None, classes=1000)
    assert caught.value.advice == f"name {folder} as the data"


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images here"):
        open_images(tmp_path, None, classes=None)


def test_the_fingerprint_follows_names_labels_and_contents(flat: Flat, picture: Picture) -> None:
    folder, label_file = flat(3)
    before = open_images(folder, label_file, classes=None).fingerprint
    assert open_images(folder, label_file, classes=None).fingerprint == before
    label_file.write_text(label_file.read_text().replace(" 2\n", " 1\n"))
    relabelled = open_images(folder, label_file, classes=None).fingerprint
    (folder / "picture 000.JPEG").write_bytes(picture(9))
    assert len({before, relabelled, open_images(folder, label_file, classes=None).fingerprint}) == 3


def test_imagenets_classes_are_in_label_order() -> None:
    assert len(set(wordnet_ids())) == len(class_names()) == 1000
    assert (wordnet_ids()[0], class_names()[0]) == ("n01440764", "tench")
    assert (wordnet_ids()[999], class_names()[999]) == ("n15075141", "toilet tissue")
