"""Stored measurements: times only within one environment, ratios to fp32 across machines."""

from __future__ import annotations

import pytest

from quantize.errors import MeasurementError
from quantize.measurement.timing.block import Block
from quantize.measurement.timing.compare import speedup_change, time_change


def slowed(measurement, factors: dict[str, float]):
    def slow(block: Block) -> Block:
        factor = factors.get(block.contestant, 1.0)
        return block.model_copy(update={"runs_ns": tuple(int(ns * factor) for ns in block.runs_ns)})

    return measurement.model_copy(update={"blocks": tuple(map(slow, measurement.blocks))})


def test_equal_measurements_show_no_change(recorded):
    for change in (time_change(recorded, recorded, "int8"), speedup_change(recorded, recorded, "int8")):
        assert change.ratio == 1
        assert change.low < 1 < change.high
        assert change.unlike == ()


def test_a_slower_model_shows_in_its_time_and_in_its_speed_up(recorded):
    later = slowed(recorded, {"int8": 1.1})
    assert time_change(recorded, later, "int8").ratio == pytest.approx(1.1, rel=1e-4)
    change = speedup_change(recorded, later, "int8")
    assert change.ratio == pytest.approx(1 / 1.1, rel=1e-4)
    assert change.high < 1


def test_a_slower_machine_moves_the_times_and_not_the_speed_up(recorded):
    later = slowed(recorded, {"int8": 2, "fp32": 2, "fp32 again": 2})
    assert time_change(recorded, later, "fp32").ratio == pytest.approx(2, rel=1e-4)
    assert speedup_change(recorded, later, "int8").ratio == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpu_model", "Another CPU"),
        ("isa_flags", ("avx2",)),
        ("affinity", (0,)),
        ("cpu_quota", 1.5),
        ("governor", "powersave"),
        ("onnxruntime", "1.20.0"),
        ("threads", 4),
        ("spinning", False),
        ("optimization", "basic"),
        ("batch_size", 8),
    ],
)
def test_times_of_unlike_environments_are_refused_naming_the_field(recorded, changed, field, value):
    with pytest.raises(MeasurementError) as caught:
        time_change(recorded, changed(environment={field: value}), "int8")
    named = "usable_cores" if field == "affinity" else field
    assert caught.value.where in (named, "usable_cores")
    assert named in str(caught.value)


def test_across_machines_only_the_ratio_to_fp32_is_compared(recorded, changed):
    other = changed(environment={"cpu_model": "Another CPU", "onnxruntime": "1.20.0"})
    with pytest.raises(MeasurementError, match="speed-ups over fp32"):
        time_change(recorded, other, "int8")
    assert speedup_change(recorded, other, "int8").unlike == ("cpu_model", "onnxruntime")


def test_speed_ups_with_other_settings_or_over_another_baseline_are_refused(recorded, changed):
    with pytest.raises(MeasurementError, match="threads"):
        speedup_change(recorded, changed(environment={"threads": 2}), "int8")
    contestants = tuple(one.model_copy(update={"sha256": "f" * 64}) for one in recorded.contestants)
    with pytest.raises(MeasurementError, match="different baselines"):
        speedup_change(recorded, recorded.model_copy(update={"contestants": contestants}), "int8")


def test_a_name_that_one_measurement_lacks_is_refused_naming_those_there_are(recorded):
    for compare in (time_change, speedup_change):
        with pytest.raises(MeasurementError, match="no figure for int4") as caught:
            compare(recorded, recorded, "int4")
        assert "int8" in str(caught.value)


def test_too_few_rounds_give_a_change_without_interval(recorded):
    few = recorded.model_copy(update={"blocks": tuple(block for block in recorded.blocks if block.round < 4)})
    change = time_change(recorded, few, "int8")
    assert change.low is None
    assert change.high is None
