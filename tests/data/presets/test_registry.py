from __future__ import annotations

from quantize.config.schema import choices_at
from quantize.data.preprocessing import PRESETS
from quantize.data.presets.registry import PARTS


def test_the_configuration_offers_every_preset() -> None:
    assert choices_at(("preprocessing", "preset")) == tuple(PARTS) == tuple(PRESETS)


def test_a_preset_leaves_the_sizes_to_the_model() -> None:
    assert all(preset.resize is None and preset.crop is None for preset in PRESETS.values())


def test_no_two_presets_do_the_same() -> None:
    assert len({preset.fingerprint for preset in PRESETS.values()}) == len(PRESETS)
