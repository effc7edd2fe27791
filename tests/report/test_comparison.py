"""Two runs side by side, and what changed between them."""

from __future__ import annotations

from quantize.report.comparison import compare, short_names
from quantize.report.schema import RunReport


def test_names_are_as_short_as_tells_the_runs_apart() -> None:
    assert short_names(["runs/a", "runs/b/report.json"]) == ("a", "b")
    assert short_names(["one/run", "two/run"]) == ("one/run", "two/run")
    assert short_names(["run", "run"]) == ("run (1)", "run (2)")


def test_equal_runs_have_no_changes(report: RunReport) -> None:
    assert compare([("a", report), ("b", report)]).changes == ()


def test_changed_settings_recipes_layers_and_answers_are_listed(report: RunReport) -> None:
    assert report.profile is not None
    assert report.flips is not None
    operators = tuple(
        one.model_copy(update={"kind": "fp32"}) if one.origin == "conv1" else one
        for one in report.profile.candidate.operators
    )
    candidate = report.profile.candidate.model_copy(update={"operators": operators})
    flips = report.flips.model_copy(update={"shown": report.flips.shown[1:], "count": report.flips.count - 1})
    recipe = report.chosen.recipe.model_copy(update={"float_nodes": ("conv1",)})
    other = report.model_copy(
        update={
            "config": {**report.config, "input_contract": "uint8-nhwc"},
            "chosen": report.chosen.model_copy(update={"recipe": recipe}),
            "profile": report.profile.model_copy(update={"candidate": candidate}),
            "flips": flips,
        }
    )
    changes = {table.title.split()[0]: table for table in compare([("a", report), ("b", other)]).changes}
    assert list(changes) == ["Settings", "Recipe", "Layers", "Images"]
    assert ("input_contract", "as-is", "uint8-nhwc") in changes["Settings"].rows
    assert changes["Recipe"].rows[-1][0] == "float_nodes"
    assert [row[0] for row in changes["Layers"].rows] == ["conv1"]
    assert [row[0] for row in changes["Images"].rows] == [report.flips.shown[0].id]
    assert changes["Images"].rows[0][2] == "as fp32"


def test_runs_on_other_images_say_so(report: RunReport) -> None:
    origin = report.provenance.model_copy(update={"data_fingerprint": "other"})
    other = report.model_copy(update={"provenance": origin})
    assert "different images" in compare([("a", report), ("b", other)]).notes[0]


def test_a_change_behind_what_is_shown_of_a_long_setting_is_a_change(report: RunReport) -> None:
    names = [f"rewrite-{number}" for number in range(20)]
    one, other = (
        report.model_copy(update={"config": {**report.config, "rewrites": listed}})
        for listed in (names, [*names[:-1], "rewrite-99"])
    )
    (change,) = compare([("a", one), ("b", other)]).differences
    assert (change.name, change.before) == ("rewrites", ", ".join(names))
    assert change.after.endswith(", rewrite-18, rewrite-99")
