"""A small classifier, its images, and the task that an engine is given for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from quantize.config import load_config
from quantize.criterion import Criterion, SpeedCriterion
from quantize.data.batches import Batch
from quantize.engines.task import CalibrationSet, Callbacks, SearchTask
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact, save_model
from quantize.models.session import open_session
from tests.engines.native.search.conftest import classifier_graph

Tasked = Callable[..., SearchTask]


def not_called(*_: object, **__: object) -> Any:
    raise AssertionError("the engine asked for what this test does not give")


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact:
    return save_model(classifier_graph(), tmp_path_factory.mktemp("fp32") / "model.onnx")


@pytest.fixture(scope="session")
def small_images() -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(7)
    return (rng.normal(0, 1, (24, 3, 16, 16)) + rng.normal(0, 1, (24, 3, 1, 1))).astype(np.float32)


@pytest.fixture(scope="session")
def calibration(small_images: npt.NDArray[np.float32]) -> CalibrationSet:
    names = tuple(map(str, range(len(small_images))))
    return CalibrationSet([Batch(names, small_images, None)], len(small_images), "images")


@pytest.fixture
def agreement(small_model: ModelArtifact, small_images: npt.NDArray[np.float32]) -> Callable[[ModelArtifact], float]:
    """Return what gives the share of images with fp32's answer."""

    def answers(model: ModelArtifact) -> npt.NDArray[np.int64]:
        session = open_session(model.path)
        (scores,) = session.run(None, {session.get_inputs()[0].name: small_images})
        return scores.reshape(len(small_images), -1).argmax(axis=1)

    expected = answers(small_model)
    return lambda model: float((answers(model) == expected).mean())


@pytest.fixture
def task(
    small_model: ModelArtifact,
    calibration: CalibrationSet,
    agreement: Callable[[ModelArtifact], float],
    tmp_path: Path,
) -> Tasked:
    """Return a maker of tasks: settings by their keys, and fields of the task by their names."""

    def made(settings: dict[str, object] | None = None, **changes: Any) -> SearchTask:
        config = load_config(None, {"quantization.target": "vnni", "tuning.placement": "all-int8", **(settings or {})})
        callbacks = Callbacks(
            evaluate=agreement,
            evaluate_some=not_called,
            baseline=not_called,
            measure=not_called,
            profile=not_called,
            ratio=not_called,
            op_times=not_called,
            finished=lambda model: model,
            stage=lambda _: nullcontext(),
        )
        plain = SearchTask(
            model=small_model,
            criterion=Criterion("agreement", minimum=0.5),
            calibration=calibration,
            framework="onnxrt_qlinearops",
            quantization=config.quantization,
            tuning=config.tuning,
            speed=SpeedCriterion(min_speedup=0.0),
            times_count=False,
            rewrites=(),
            evaluation_fingerprint="evaluation",
            folder=tmp_path / "work",
            threads=1,
            callbacks=callbacks,
            journal=Journal(tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl", {}, resume=False),
        )
        return replace(plain, **changes)

    return made
