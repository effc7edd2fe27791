"""Two models are profiled in turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantize.measurement.operators.operator_times import Profile


def test_a_profile_survives_json(profiled):
    assert Profile.model_validate_json(profiled.model_dump_json()) == profiled


def test_paths_of_profiles_do_not_stay_behind(tmp_path, monkeypatch, tiny, tiny_images):
    from quantize.measurement.operators.profile import profile
    from quantize.measurement.timing.plan import Plan

    monkeypatch.chdir(tmp_path)
    plan = Plan(models={"fp32": tiny, "same": tiny}, baseline="fp32")
    profiled = profile(plan, {"fp32": tiny_images, "same": tiny_images}, "same", runs=10)
    assert list(Path.cwd().iterdir()) == []
    (product,) = [operator for operator in profiled.candidate.operators if operator.origin == "conv"]
    assert product.multiply_adds == 10 * 3 * 8 * 8
    assert profiled.peak.int8 > 0
    with pytest.raises(ValueError, match="baseline"):
        profile(plan.model_copy(update={"baseline": None}), {}, "same")
