from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from quantize.formats import to_qdq, to_qlinear
from quantize.formats.exact import open_exact_session
from quantize.formats.saturation import saturating_layers
from quantize.models.session import open_session
from quantize.rewrites import Rewritten
from quantize.run.export import finished, write_pair
from quantize.run.folder import RunFolder
from quantize.target import CpuClass
from tests.formats.plain_quantizer import quantized
from tests.run.colours import SIDE, colours

if TYPE_CHECKING:
    from tests.conftest import ExactSession


@pytest.fixture
def pair() -> Rewritten:
    """Return both formats of a model with weights of 8 bits, independent of this machine's class."""
    images = np.random.default_rng(1).uniform(0, 255, (8, 3, SIDE, SIDE)).astype(np.float32)
    model = quantized(colours(), images, float_ops=("GlobalAveragePool", "Flatten", "Softmax"))
    return Rewritten(to_qlinear(model, opset=13), to_qdq(model), ())


def test_a_graph_without_fp32_layers_between_int8_ones_is_left_as_it_is(pair: Rewritten) -> None:
    same = finished(pair, "vnni")
    assert same.qlinear == pair.qlinear
    assert same.qdq == pair.qdq


@pytest.mark.parametrize("target", ["avx2", "arm64", "any"])
def test_for_a_target_that_must_not_saturate_every_layer_that_could_is_written_with_weights_of_uint8(
    pair: Rewritten, target: CpuClass, exact_session: ExactSession
) -> None:
    assert saturating_layers(pair.qlinear)
    safe = finished(pair, target)
    images = np.random.default_rng(0).uniform(0, 255, (2, 3, 32, 32)).astype(np.float32)
    for model, given in ((safe.qlinear, pair.qlinear), (safe.qdq, pair.qdq)):
        assert saturating_layers(model) == ()
        exact = exact_session(given).run(None, {"pixels": images})[0]
        assert np.array_equal(open_session(model.SerializeToString()).run(None, {"pixels": images})[0], exact)


def test_both_files_hold_the_given_model_and_open(pair: Rewritten, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, tmp_path / "int8.onnx", tmp_path / "qdq.onnx")
    written = write_pair(finished(pair, "vnni"), folder)
    assert onnx.load(written.int8.path) == pair.qlinear
    images = np.random.default_rng(0).uniform(0, 255, (2, 3, 32, 32)).astype(np.float32)
    scores = [open_exact_session(model.path).run(None, {"pixels": images})[0] for model in (written.int8, written.qdq)]
    assert np.array_equal(*scores)
