"""What two versions' reports of one run differ in."""

from __future__ import annotations

from benchmarks.report_differences import differences, new_keys

OLD = {
    "trials": [{"recipe_id": "a", "seconds": 1.0}, {"recipe_id": "b", "seconds": 2.0}],
    "models": [{"graph_sha256": "1", "reason": "runs at 2x of fp32's speed"}],
    "rewrites": [{"name": "redundant", "speed": [{"ratio": 1.1}]}],
    "notes": [],
    "provenance": {"created": "then"},
    "rough": None,
}


def changed(**values: object) -> dict[str, object]:
    return {**OLD, **values}


def test_times_places_and_sentences_about_them_are_no_difference() -> None:
    new = changed(
        trials=[{"recipe_id": "a", "seconds": 9.0}, {"recipe_id": "b", "seconds": 8.0}],
        models=[{"graph_sha256": "1", "reason": "runs at 3x of fp32's speed"}],
        rewrites=[{"name": "redundant", "speed": [{"ratio": 0.9}]}],
        provenance={"created": "now"},
    )
    assert list(differences(OLD, new)) == []


def test_keys_that_the_earlier_version_does_not_write_are_named_once_and_are_no_difference() -> None:
    new = changed(provenance={"created": "now", "marks": ["1", "2", "3"]}, quick=False)
    assert list(differences(OLD, new)) == []
    assert new_keys(OLD, new) == ["provenance.marks", "quick"]


def test_another_value_one_more_and_something_in_place_of_nothing_are_differences() -> None:
    new = changed(trials=[*OLD["trials"], {"recipe_id": "c"}], notes=["why"], rough={"images": 9})  # type: ignore[misc]
    new["models"] = [{"graph_sha256": "2", "reason": "runs at 2x of fp32's speed"}]
    assert [line.partition(":")[0] for line in differences(OLD, new)] == [
        "models.0.graph_sha256",
        "notes",
        "notes.0",
        "rough",
        "rough.images",
        "trials.2.recipe_id",
    ]
