"""Jobs for the child process: a model, a file of calibration images, and what to build or search."""

from __future__ import annotations

import importlib.util
from typing import Literal

from quantize.engines.exchange import ImageFile
from quantize.engines.inc.constraints import op_name_dict, op_type_dict
from quantize.engines.inc.decision import calibration_images_of, container_of, exact_op_names
from quantize.engines.inc.settings import STRATEGIES, IncSettings
from quantize.errors import EngineError
from quantize.models.artifact import ModelArtifact
from quantize.processes.parent import Message
from quantize.recipe import Recipe

_QDQ_PER_CHANNEL_OPSET = 13


def container_for(settings: IncSettings, model: ModelArtifact) -> Literal["qlinear", "qdq"]:
    """Return the format that the settings ask for.

    Raises:
        EngineError: QDQ below opset 13, where Neural Compressor silently drops per-channel weights.
    """
    if settings.framework == "onnxrt_qlinearops":
        return "qlinear"
    if model.opset < _QDQ_PER_CHANNEL_OPSET:
        raise EngineError(
            "per-channel weights in QDQ need opset 13",
            where=str(model.path),
            found=f"opset {model.opset}",
            advice="prepare the model for opset 13, or use the framework onnxrt_qlinearops",
        )
    return "qdq"


def tuning_job(settings: IncSettings, model: ModelArtifact, images: ImageFile) -> Message:
    """Return the job of searching for a model that meets the criterion."""
    return {
        **_job(model, images, container_for(settings, model), batch_size=settings.batch_size),
        "tune": True,
        "op_types": op_type_dict(settings),
        "op_names": op_name_dict(settings, model.proto()),
        "reduce_range": settings.reduce_range,
        "strategy": settings.strategy,
        "quant_level": STRATEGIES[settings.strategy],
        # It counts configurations that it has tried before and skips; the engine counts those that were evaluated.
        "most_configurations": 2 * settings.max_trials + 100,
        "stop_when_met": settings.stop_when_met,
        "seed": settings.random_seed,
    }


def building_job(model: ModelArtifact, recipe: Recipe, images: ImageFile) -> Message:
    """Return the job of building one recipe again.

    Raises:
        EngineError: There are fewer calibration images than the recipe's ranges come from.
        ValueError: The recipe is another engine's.
    """
    wanted = calibration_images_of(recipe)
    if images.shape[0] != wanted:
        raise EngineError(
            "the recipe cannot be built again from this calibration set",
            found=f"{images.shape[0]} images",
            expected=f"{wanted} images, the same as when it was found",
        )
    return {
        **_job(model, images, container_of(recipe), batch_size=1),
        "tune": False,
        "op_types": None,
        "op_names": exact_op_names(recipe),
        "reduce_range": recipe.reduce_range,
        "strategy": "basic",
        "quant_level": 1,
        "most_configurations": 1,
        "stop_when_met": True,
        "seed": 0,
    }


def require_neural_compressor() -> None:
    """Raise where Neural Compressor is not installed, without importing it.

    Raises:
        EngineError: It names the extra and the versions of Python that have it.
    """
    if importlib.util.find_spec("neural_compressor") is None:
        raise not_importable("the package neural_compressor is not installed")


def not_importable(found: str) -> EngineError:
    """Return the error of an environment in which Neural Compressor cannot be imported."""
    return EngineError(
        "Neural Compressor cannot be used in this environment",
        found=found,
        expected="neural-compressor 3.7.1 with numpy < 2 and onnx < 1.19, on Python 3.10, 3.11 or 3.12",
        advice="pip install 'quantize[inc]', or use tuning.engine: native",
    )


def _job(model: ModelArtifact, images: ImageFile, container: str, *, batch_size: int) -> Message:
    return {
        "kind": "job",
        "model": str(model.path.resolve()),
        "container": container,
        "images": str(images.path.resolve()),
        "shape": list(images.shape),
        "images_used": images.shape[0],
        "batch_size": batch_size,
    }
