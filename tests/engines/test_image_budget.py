"""How many images candidates may take."""

from __future__ import annotations

from pathlib import Path

from quantize.engines.image_budget import ImageBudget
from quantize.journal import Journal


def journal(path: Path, *, resume: bool = False) -> Journal:
    return Journal(path / "trials.jsonl", {}, resume=resume)


def test_each_candidate_may_take_a_third_of_what_is_left(tmp_path: Path) -> None:
    budget = ImageBudget(journal(tmp_path), 9000)
    assert budget.allowed("first") == 3000
    budget.spend("first", 3000)
    assert budget.allowed("second") == 2000


def test_a_hundred_candidates_take_little_more_than_the_budget(tmp_path: Path) -> None:
    budget, taken = ImageBudget(journal(tmp_path), 9000), 0
    for number in range(100):
        images = budget.allowed(f"{number}")
        budget.spend(f"{number}", images)
        taken += images
    assert taken <= 9000 + 100 * 256


def test_the_same_graph_is_allowed_the_same_again(tmp_path: Path) -> None:
    budget = ImageBudget(journal(tmp_path), 9000)
    budget.spend("first", 3000)
    assert budget.allowed("first") == 3000


def test_a_resumed_run_allows_what_an_unbroken_one_does(tmp_path: Path) -> None:
    before = ImageBudget(journal(tmp_path), 9000)
    before.spend("first", 1234)
    after = ImageBudget(journal(tmp_path, resume=True), 9000)
    assert after.allowed("second") == before.allowed("second") == (9000 - 1234) // 3
