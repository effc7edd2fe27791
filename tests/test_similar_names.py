"""What a path that leads nowhere may have meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.config.yaml_file import read_document
from quantize.data.containers.registry import open_images
from quantize.data.labels.label_file import read_lines
from quantize.errors import QuantizeError
from quantize.gate.baseline import read_baseline
from quantize.models.reading import read_model
from quantize.prediction.predict import pictures
from quantize.run.folder import find_run
from quantize.similar_names import did_you_mean


def test_the_most_similar_name_beside_it_is_meant(tmp_path: Path) -> None:
    for name in ("efficientnet_lite0.onnx", "squeezenet1.0-12.onnx", "squeezenet1.0-13-qdq.onnx"):
        (tmp_path / name).touch()
    assert did_you_mean(tmp_path / "squeeznet1.0-12.onnx") == f"did you mean {tmp_path / 'squeezenet1.0-12.onnx'}?"
    assert did_you_mean(tmp_path / "Efficientnet_lite0.onnx") is not None


def test_nothing_is_meant_where_nothing_is_alike_or_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").touch()
    assert did_you_mean(tmp_path / "squeezenet.onnx") is None
    assert did_you_mean(tmp_path / "labels.txt") is None
    assert did_you_mean(tmp_path / "nowhere" / "labels.txt") is None


@pytest.mark.parametrize(
    "read",
    [
        read_model,
        lambda path: open_images(path, None, classes=None),
        lambda path: read_lines(path, "label file"),
        read_document,
        find_run,
        read_baseline,
        lambda path: pictures([str(path)], bytes),
    ],
)
def test_whoever_reads_a_missing_path_asks_for_the_one_beside_it(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    (tmp_path / "network.file").touch()
    with pytest.raises(QuantizeError) as caught:
        read(tmp_path / "netwrk.file")
    assert caught.value.advice == f"did you mean {tmp_path / 'network.file'}?"
