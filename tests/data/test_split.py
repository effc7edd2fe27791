from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.data.split import Split, read_calibration_list, split
from quantize.errors import ConfigError, DataError


def drawn(ids: list[str], size: int, *, seed: int = 0, in_evaluation: bool = False, share: float = 0.0) -> Split:
    return split(ids, calibration_size=size, in_evaluation=in_evaluation, certification_share=share, seed=seed)


def names(count: int) -> list[str]:
    return [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, count + 1)]


@given(
    count=st.integers(2, 60),
    size=st.integers(1, 59),
    seed=st.integers(0, 2**32),
    share=st.floats(0, 0.99),
    in_evaluation=st.booleans(),
)
def test_the_groups_are_disjoint_and_cover_all_images(
    count: int, size: int, seed: int, share: float, in_evaluation: bool
) -> None:
    size = min(size, count - 1)
    groups = drawn(names(count), size, seed=seed, share=share, in_evaluation=in_evaluation)
    calibration, evaluation, certification = map(set, (groups.calibration, groups.evaluation, groups.certification))
    assert len(calibration) == len(groups.calibration) == size
    assert not certification & (calibration | evaluation)
    assert calibration | evaluation | certification == set(range(count))
    assert calibration <= evaluation if in_evaluation else not calibration & evaluation
    evaluated = count if in_evaluation else count - size
    assert len(certification) == min(int(share * evaluated), count - size)


def test_the_same_seed_draws_the_same_images_and_another_one_others() -> None:
    ids = names(200)
    assert drawn(ids, 50, seed=1) == drawn(ids, 50, seed=1)
    assert drawn(ids, 50, seed=1).calibration != drawn(ids, 50, seed=2).calibration


def test_the_draw_is_not_the_first_images() -> None:
    assert max(drawn(names(1000), 100).calibration) > 900


def test_the_container_and_the_order_do_not_change_the_draw() -> None:
    flat = names(100)
    folders = sorted(f"n{int(name[-8:-5]) % 7:08d}/{name}" for name in flat)
    for group in ("calibration", "evaluation", "certification"):
        in_flat = [flat[index] for index in getattr(drawn(flat, 20, share=0.5), group)]
        in_folders = [folders[index].split("/")[1] for index in getattr(drawn(folders, 20, share=0.5), group)]
        assert in_flat == in_folders


def test_more_images_change_the_draw_little() -> None:
    few, many = names(1000), names(1010)
    before = {few[index] for index in drawn(few, 100).calibration}
    after = {many[index] for index in drawn(many, 100).calibration}
    assert len(before & after) >= 90


def test_a_calibration_list_takes_the_draws_place() -> None:
    ids = names(10)
    groups = split(
        ids, calibration_size=3, in_evaluation=False, certification_share=0, seed=0, calibration_ids=[ids[7], ids[2]]
    )
    assert groups.calibration == (2, 7)
    assert len(groups.evaluation) == 8


def test_a_listed_image_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="1 calibration images") as caught:
        split(names(3), calibration_size=1, in_evaluation=True, certification_share=0, seed=0, calibration_ids=["x"])
    assert caught.value.found == "x"


@pytest.mark.parametrize(("size", "in_evaluation"), [(10, False), (11, True), (11, False), (0, True), (-1, False)])
def test_a_sampling_size_that_the_images_cannot_give_is_an_error(size: int, in_evaluation: bool) -> None:
    with pytest.raises(ConfigError) as caught:
        drawn(names(10), size, in_evaluation=in_evaluation)
    assert caught.value.where == "quantization.calibration.sampling_size"
    assert caught.value.found == f"{size} of 10 images"


def test_all_images_may_calibrate_when_they_are_also_evaluated() -> None:
    groups = drawn(names(10), 10, in_evaluation=True)
    assert groups.calibration == groups.evaluation == tuple(range(10))


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_an_error(share: float) -> None:
    with pytest.raises(ConfigError, match="share of images"):
        drawn(names(10), 2, share=share)


def test_a_name_that_is_there_twice_is_a_bug() -> None:
    with pytest.raises(ValueError, match="twice"):
        drawn(["a", "a"], 1)


IDS = ["n01440764/a.jpg", "n01440764/two words.jpg", "n01484850/b.jpg", "x/c.jpg", "y/c.jpg"]


def listed(tmp_path: Path, text: str) -> tuple[str, ...]:
    path = tmp_path / "calibration.txt"
    path.write_text(text)
    return read_calibration_list(path, IDS)


def test_names_are_found_with_or_without_folder_and_label(tmp_path: Path) -> None:
    text = "b.jpg\n\n n01440764/a.jpg 0\r\ntwo words.jpg\nval/x/c.jpg 3\n".replace("val/x", "x")
    assert listed(tmp_path, text) == ("n01484850/b.jpg", "n01440764/a.jpg", "n01440764/two words.jpg", "x/c.jpg")


def test_missing_ambiguous_and_repeated_names_are_listed_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 problems") as caught:
        listed(tmp_path, "a.jpg\nnone.jpg\nc.jpg\na.jpg 0\n")
    problems = str(caught.value.found)
    assert "calibration.txt:2: no image 'none.jpg'" in problems
    assert "calibration.txt:3: no image 'c.jpg'" in problems
    assert "calibration.txt:4: 'a.jpg 0' is named again, after line 1" in problems


def test_an_image_that_was_skipped_as_unreadable_may_be_listed(tmp_path: Path) -> None:
    path = tmp_path / "calibration.txt"
    path.write_text("a.jpg\nspoilt.jpg\n")
    assert read_calibration_list(path, IDS, skipped=["n01440764/spoilt.jpg"]) == ("n01440764/a.jpg",)


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="calibration list is empty"):
        listed(tmp_path, "\n")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="calibration list cannot be read"):
        read_calibration_list(tmp_path / "none.txt", IDS)
