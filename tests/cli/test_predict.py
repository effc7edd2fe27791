from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from quantize.cli.main import main
from quantize.errors import ExitCode


@pytest.fixture
def model(tmp_path: Path) -> Path:
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["means"]),
        helper.make_node("Flatten", ["means"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3])],
    )
    path = tmp_path / "colours.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7).SerializeToString()
    )
    return path


@pytest.fixture
def red(tmp_path: Path) -> Path:
    pixels = np.zeros((9, 9, 3), np.uint8)
    pixels[..., 0] = 255
    Image.fromarray(pixels).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_predict_prints_the_classes(model: Path, red: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(model), str(red), "--preset=imagenet", "--top", "2"]) is ExitCode.DONE
    out = capsys.readouterr().out
    assert str(red) in out
    assert "   0\n" in out


def test_predict_prints_json(model: Path, red: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", "--json", "--preset=imagenet", str(model), str(red), "--compare", str(model)]
    assert main(words) is ExitCode.DONE
    report = json.loads(capsys.readouterr().out)
    assert report["predictions"][0]["answers"][0]["label"] == 0
    assert report["agreement"] == 1.0


def test_predict_reads_standard_input(model: Path, red: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "quantize", "predict", str(model), "-", "--preset=imagenet", "--json"],
        input=red.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["predictions"][0]["image"] == "-"


def test_predict_without_images_is_refused(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(model)]) is ExitCode.USER
    assert "IMAGE" in capsys.readouterr().err.upper()


def test_a_hostile_name_is_one_line_of_text_and_faithful_in_json(
    model: Path, red: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    names = ["a\n::error title=x::y.png", "##[error]z.png", "\x1b[2J\u202egnp.png"]
    for name in names:
        (folder / name).write_bytes(red.read_bytes())
    words = ["predict", str(model), str(folder), "--preset=imagenet", "--class_names", str(tmp_path / "names.txt")]
    (tmp_path / "names.txt").write_text("::error::first\n##[error]second\nthird\n")
    assert main(words) is ExitCode.DONE
    out, _ = capsys.readouterr()
    assert not any(line.strip().startswith("::") for line in out.splitlines())
    assert "##[" not in out
    assert "a\\n::error title=x::y.png" in out
    assert main([*words, "--json"]) is ExitCode.DONE
    images = [prediction["image"] for prediction in json.loads(capsys.readouterr().out)["predictions"]]
    assert sorted(images) == sorted(str(folder / name) for name in names)


def test_a_name_that_is_no_text_is_told(model: Path, red: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = os.fsencode(red.parent) + b"/\xff.png"
    Path(os.fsdecode(place)).write_bytes(red.read_bytes())
    for words in (["predict", str(model), str(red.parent)], ["predict", str(model), os.fsdecode(place)]):
        assert main([*words, "--preset=imagenet"]) is ExitCode.USER
        assert "\\udcff.png" in capsys.readouterr().err
