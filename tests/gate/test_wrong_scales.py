"""A model with one layer's scales wrong, evaluated for real: the check names agreement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from quantize.commands.check import check_run
from quantize.data.batches import Batches
from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import PRESETS
from quantize.errors import ExitCode
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.scores import ScoreStore
from quantize.evaluation.summary import summarize
from quantize.models.artifact import ModelArtifact, save_model


def _scaled(model: onnx.ModelProto, *, factor: float) -> onnx.ModelProto:
    """Return the model with one output channel's weight scale times ``factor``."""
    for tensor in model.graph.initializer:
        if tensor.name == "ws":
            values = np.full(4, numpy_helper.to_array(tensor), np.float32) * np.array([factor, 1, 1, 1], np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), "ws"))
        elif tensor.name == "wz":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(4, np.int8), "wz"))
    return model


@pytest.mark.parametrize(("factor", "code"), [(1.001, ExitCode.DONE), (4.0, ExitCode.NOT_MET)])
def test_wrong_scales_fail_at_agreement_and_small_ones_pass(
    factor: float,
    code: ExitCode,
    new_run: Callable[..., Any],
    models: dict[str, Callable[..., onnx.ModelProto]],
    baseline: Path,
    tmp_path: Path,
) -> None:
    preprocessing = PRESETS["imagenet"].model_copy(update={"resize": 8, "crop": 8})
    pixels = np.random.default_rng(3).integers(0, 256, (300, 8, 8, 3)).astype(np.uint8)
    crops = Crops.from_array([f"{i}" for i in range(len(pixels))], pixels, None, preprocessing)
    batches = Batches(crops, preprocessing, 50)
    right = save_model(models["qlinear"](), tmp_path / "right.onnx")
    evaluate(right, batches, threads=1, store=tmp_path / "scores")
    run = new_run()
    run.put("int8", _scaled(models["qlinear"](), factor=factor))
    candidate = ModelArtifact.load(run.folder / "int8.onnx")
    evaluation = evaluate(candidate, batches, threads=1, baseline=ScoreStore.open(tmp_path / "scores"))
    fidelity = summarize(evaluation).fidelity
    assert fidelity is not None
    run.change(lambda r: r["models"][0]["selection"]["evaluation"].update(fidelity=fidelity.model_dump(mode="json")))
    result = check_run(run.folder, baseline)
    assert result.exit_code is code
    broken = {line.name for line in result.lines if result.failing(line)}
    assert ("int8.agreement.fp32" in broken) == (code is ExitCode.NOT_MET)
    assert any("agreement" in difference.what for difference in result.differences)
    assert (fidelity.agreement < 0.9) == (code is ExitCode.NOT_MET)
