from __future__ import annotations

from quantize.data.preprocessing import PRESETS
from quantize.examination.preprocessing import differences, flags, variants


def test_variants_differ_from_what_is_asked_and_from_each_other() -> None:
    for preset in PRESETS.values():
        asked = preset.for_input_size(224, 224)
        tried = variants(asked, (224, 224))
        prints = [variant.preprocessing.fingerprint for variant in tried]
        assert len({asked.fingerprint, *prints}) == len(prints) + 1
        assert all(variant.preprocessing.side == 224 for variant in tried)


def test_flags_give_the_preset_or_the_changed_parts() -> None:
    asked = PRESETS["caffe"].for_input_size(224, 224)
    other = PRESETS["imagenet"].for_input_size(224, 224)
    assert flags(other, asked) == "--preset imagenet"
    changed = asked.model_copy(update={"channel_order": "RGB", "preset": None})
    assert flags(changed, asked) == "--preset caffe --channel_order RGB"
    assert differences(asked, changed) == "channel_order BGR for RGB"


def test_of_one_channel_no_order_is_tried_and_no_normalization_of_three() -> None:
    asked = PRESETS["inception"].for_input((28, 28), 1)
    tried = variants(asked, (28, 28))
    assert tried
    assert {variant.preprocessing.channel_order for variant in tried} == {"L"}
    assert not any("imagenet" in variant.change or "caffe" in variant.change for variant in tried)
    lite = next(variant.preprocessing for variant in tried if variant.change == "preset efficientnet_lite")
    assert flags(lite, asked) == "--preset efficientnet_lite"
