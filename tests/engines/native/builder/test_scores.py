from __future__ import annotations

import weakref

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.engines.native.builder.scores import corrected_scores, logits, logits_tensor, mean_shift
from quantize.models.session import open_session


def ending(*op_types, shape=("N", 4)):
    """A model that ends with these ops after a Mul by a constant, which may be wrong in a candidate."""
    nodes = [helper.make_node("Mul", ["x", "factor"], ["t0"], "mul")]
    for index, op_type in enumerate(op_types):
        nodes.append(helper.make_node(op_type, [f"t{index}"], [f"t{index + 1}"], op_type.lower()))
    nodes[-1].output[0] = "scores"
    graph = helper.make_graph(
        nodes,
        "ending",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array([1.0, 1.0, 1.0, 1.0], np.float32), "factor")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


IMAGES = [np.random.default_rng(0).uniform(0, 4, (20, 4)).astype(np.float32)]


@pytest.mark.parametrize(
    ("op_types", "tensor"), [(("Softmax",), "t0"), (("Identity", "Softmax", "Flatten"), "t1"), (("Relu",), "scores")]
)
def test_logits_are_what_the_softmax_takes_or_the_scores(op_types, tensor):
    assert logits_tensor(ending(*op_types)) == tensor


@pytest.mark.parametrize("op_types", [("Softmax",), ("Relu",)])
def test_the_mean_difference_of_every_class_is_as_good_as_gone_after_the_correction(op_types):
    model, candidate = ending(*op_types), ending(*op_types)
    candidate.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([1.1, 0.9, 1, 1.2], np.float32), "factor"))
    reference = logits(model, IMAGES)
    before = (logits(candidate, IMAGES) - reference).mean(axis=0)
    corrected = corrected_scores(candidate, reference, logits(candidate, IMAGES))
    onnx.checker.check_model(corrected, full_check=True)
    after = (logits(corrected, IMAGES) - reference).mean(axis=0)
    assert np.abs(before).max() > 0.1
    assert np.abs(after).max() < 0.03 * np.abs(before).max()
    assert open_session(corrected.SerializeToString()).get_outputs()[0].name == "scores"


@pytest.mark.parametrize("batch", [1, 3, 8, 20, 64])
def test_a_model_of_a_fixed_batch_sees_every_image_once(batch):
    scores = logits(ending("Softmax", shape=(batch, 4)), IMAGES)
    assert np.array_equal(scores, logits(ending("Softmax"), IMAGES))


@pytest.mark.parametrize("cuts", [(8,), (3, 4, 5, 19), (1, 17)])
def test_how_the_images_are_cut_into_batches_changes_no_bit(cuts):
    model = ending("Softmax")
    assert np.array_equal(logits(model, np.split(IMAGES[0], cuts)), logits(model, IMAGES))


def test_a_batch_is_freed_once_it_has_run():
    given, alive = [], []

    def stream():
        for _ in range(30):
            batch = np.ones((16, 4), np.float32)
            given.append(weakref.ref(batch))
            alive.append(sum(reference() is not None for reference in given))
            yield batch
            del batch

    assert logits(ending("Softmax"), stream()).shape == (480, 4)
    assert max(alive) <= 3


def test_differences_that_are_chance_are_left_alone_and_those_that_are_not_are_taken_off():
    generator = np.random.default_rng(3)
    reference = generator.normal(0, 3, (100, 50)).astype(np.float32)
    noise = generator.normal(0, 1, (100, 50)).astype(np.float32)
    own = generator.normal(0, 0.5, 50).astype(np.float32)
    by_chance = mean_shift(reference, reference + noise)
    assert np.abs(by_chance).mean() < 0.3 * np.abs(noise.mean(axis=0)).mean()
    real = mean_shift(reference, reference + noise + own)
    plain = -(noise + own).mean(axis=0, keepdims=True)
    assert np.square(real + own).mean() < np.square(plain + own).mean()


def test_a_difference_that_all_classes_share_counts_for_none_and_one_image_has_no_uncertainty():
    reference = np.random.default_rng(4).normal(0, 1, (10, 5)).astype(np.float32)
    assert mean_shift(reference, reference).tolist() == [[0.0] * 5]
    shift = mean_shift(reference[:1], reference[:1] + np.float32(0.5))
    assert shift == pytest.approx(np.full((1, 5), -0.5))
