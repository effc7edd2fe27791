"""Settings by their dotted names."""

from __future__ import annotations

from quantize.config.leaves import leaves


def test_what_lies_deep_is_named_by_the_way_to_it() -> None:
    assert dict(leaves({"data": {"path": "val", "labels": {"kind": None}}, "seed": 7})) == {
        "data.path": "val",
        "data.labels.kind": None,
        "seed": 7,
    }


def test_a_list_is_one_value_and_an_empty_mapping_none() -> None:
    assert list(leaves({"engines": ["inc", "ort"], "notes": {}})) == [("engines", ["inc", "ort"])]
