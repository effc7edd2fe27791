"""From an image file's bytes to the five best classes."""

from __future__ import annotations

import io

import numpy as np
import onnx
import pytest
from PIL import Image

from quantize.data.decoding import decode_image
from quantize.data.preprocessing import PRESETS
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.stages import StageTimes, best_classes, end_to_end_speedup, measure_stages, preparation

PREPROCESSING = PRESETS["caffe"].for_input_size(8, 8)


@pytest.fixture(scope="module")
def encoded() -> list[bytes]:
    generator = np.random.default_rng(0)
    files = []
    for _ in range(7):
        stream = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(stream, "JPEG")
        files.append(stream.getvalue())
    return files


def test_every_image_is_timed_stage_by_stage_and_as_a_whole(tiny, encoded):
    prepare = preparation(PREPROCESSING)
    measured = measure_stages(Plan(models={"a": tiny, "b": tiny}), encoded, {"a": prepare, "b": prepare})
    assert [times.name for times in measured] == ["a", "b"]
    for times in measured:
        assert len(times.preprocessing_ns) == len(times.inference_ns) == len(times.postprocessing_ns) == 7
        assert len(times.end_to_end_ns) == 14
        assert all(type(ns) is int and ns > 0 for ns in times.preprocessing_ns + times.end_to_end_ns)
    assert StageTimes.model_validate_json(measured[0].model_dump_json()) == measured[0]


def test_a_model_that_takes_four_images_at_once_gets_one_four_times(tiny, encoded, tmp_path):
    model = onnx.load(tiny)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    plan = Plan(models={"four": tmp_path / "four.onnx"})
    (times,) = measure_stages(plan, encoded, {"four": preparation(PREPROCESSING)})
    assert len(times.inference_ns) == len(encoded)


def test_the_time_limit_ends_it_after_a_whole_image(tiny, encoded):
    ticks = iter(range(0, 10**15, 10**9))
    plan = Plan(models={"a": tiny}, max_seconds=20)
    (times,) = measure_stages(plan, encoded, {"a": preparation(PREPROCESSING)}, clock=lambda: next(ticks))
    assert 1 <= len(times.inference_ns) < 7
    assert len(times.end_to_end_ns) == 2 * len(times.inference_ns)


def test_the_input_is_what_the_preprocessing_says_in_either_layout(encoded):
    nchw = preparation(PREPROCESSING)(encoded[0])
    nhwc = preparation(PREPROCESSING, layout="NHWC")(encoded[0])
    assert nchw.shape == (1, 3, 8, 8)
    assert np.array_equal(nchw.transpose(0, 2, 3, 1), nhwc)
    assert nchw.dtype == np.float32


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_model_that_takes_pixels_gets_them_without_any_work_on_floats(encoded, layout, monkeypatch):
    pixels = PREPROCESSING.without_normalization()
    crop = pixels.crop_image(decode_image(encoded[0]))
    monkeypatch.setattr(type(pixels), "normalize", lambda *_: pytest.fail("floats were made"))
    prepared = preparation(pixels, layout=layout, dtype="uint8")(encoded[0])
    assert prepared.dtype == np.uint8
    assert np.array_equal(prepared[0], crop if layout == "NHWC" else crop.transpose(2, 0, 1))
    assert prepared.flags.c_contiguous
    with pytest.raises(ValueError, match="takes pixels was given a normalization"):
        preparation(PREPROCESSING, layout=layout, dtype="uint8")(encoded[0])


@pytest.mark.parametrize("shape", [(1, 10), (1, 10, 1, 1), (1, 3)])
def test_the_five_best_classes_come_best_first(shape):
    scores = np.random.default_rng(1).normal(size=shape)
    assert best_classes(scores).tolist() == np.argsort(-scores.ravel())[:5].tolist()


def test_the_end_to_end_speed_up_is_paired_by_image():
    decode = np.repeat(np.linspace(1e6, 9e6, 10), 2)
    fp32, int8 = (
        StageTimes(
            name=name,
            preprocessing_ns=(),
            inference_ns=(),
            postprocessing_ns=(),
            end_to_end_ns=tuple(int(ns * factor) for ns in decode),
        )
        for name, factor in (("fp32", 1.5), ("int8", 1.0))
    )
    gain = end_to_end_speedup(fp32, int8)
    assert gain is not None
    assert gain.ratio == pytest.approx(1.5, rel=1e-5)
    assert gain.rounds == 10
