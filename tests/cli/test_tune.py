"""Bad data, models, files and flags, each through the command line: exit code 2, a message that names the thing, no
traceback, and nothing written over.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from quantize.cli.main import main
from quantize.errors import ExitCode

_CLASSES = 4


@dataclass(frozen=True)
class _Place:
    """A folder with a model, eight labelled images and an output that is not there yet."""

    root: Path

    @property
    def model(self) -> Path:
        return self.root / "model.onnx"

    @property
    def images(self) -> Path:
        return self.root / "val"

    @property
    def labels(self) -> Path:
        return self.root / "val.txt"

    @property
    def output(self) -> Path:
        return self.root / "out"

    def tune(self, *more: str) -> list[str]:
        words = [f"--input_model={self.model}", f"--data_path={self.images}", f"--label_path={self.labels}"]
        words += [f"--output_model={self.output}", "--preset=imagenet", "--workers=1"]
        listed = any(word.startswith("--calibration_list=") for word in more)
        return ["tune", *words, *([] if listed else ["--sampling_size=2"]), *more]


def _model(*, inputs: int = 1, shape: tuple[int, ...] = (1, 3, 8, 8), opset: int = 12) -> onnx.ModelProto:
    weights = np.random.default_rng(0).normal(size=(_CLASSES, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["data_0", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"]),
        helper.make_node("Flatten", ["g"], ["scores"]),
    ]
    values = [helper.make_tensor_value_info(f"data_{i}", TensorProto.FLOAT, shape) for i in range(inputs)]
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, _CLASSES])
    graph = helper.make_graph(nodes, "tiny", values, [output], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def _jpeg(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Place:
    monkeypatch.chdir(tmp_path)
    made = _Place(tmp_path)
    onnx.save(_model(), made.model)
    made.images.mkdir()
    for i in range(8):
        (made.images / f"{i}.jpg").write_bytes(_jpeg(i))
    made.labels.write_text("".join(f"{i}.jpg {i % _CLASSES}\n" for i in range(8)))
    return made


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _labels(text: str) -> Callable[[_Place], object]:
    return lambda place: place.labels.write_text(text)


def _another_model(model: onnx.ModelProto) -> Callable[[_Place], object]:
    return lambda place: onnx.save(model, place.model)


def _no_images(place: _Place) -> None:
    for image in place.images.iterdir():
        image.unlink()


def _file_for_the_folder(place: _Place) -> None:
    place.images.rename(place.root / "elsewhere")
    place.images.touch()


def _folder_for_the_model(place: _Place) -> None:
    place.model.unlink()
    place.model.mkdir()


_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4952956\n"
_SPOILED: dict[str, tuple[Callable[[_Place], object], str]] = {
    "no folder of images": (lambda p: p.images.rename(p.root / "elsewhere"), "val"),
    "an empty folder of images": (_no_images, "val"),
    "a file in place of the folder": (_file_for_the_folder, "val"),
    "no label file": (lambda p: p.labels.rename(p.root / "elsewhere"), "val.txt"),
    "an empty label file": (_labels(""), "val.txt"),
    "a line without a label": (_labels("0.jpg 0\n1.jpg\n"), "val.txt:2"),
    "a label that is no number": (_labels("0.jpg 0\n1.jpg cat\n"), "val.txt:2"),
    "a label out of range": (_labels("0.jpg 0\n1.jpg 4\n"), "val.txt:2"),
    "an image that is not there": (_labels("0.jpg 0\n9.jpg 1\n"), "val.txt:2"),
    "an image listed twice": (_labels("0.jpg 0\n1.jpg 1\n0.jpg 1\n"), "val.txt:3"),
    "a label file that is no text": (lambda p: p.labels.write_bytes(b"\xff\xfe\x00\x01"), "val.txt"),
    "a truncated image": (lambda p: _truncate(p.images / "3.jpg"), "3.jpg"),
    "an image that is none": (lambda p: (p.images / "3.jpg").write_text("not an image"), "3.jpg"),
    "no model": (lambda p: p.model.rename(p.root / "elsewhere"), "model.onnx"),
    "a folder in place of the model": (_folder_for_the_model, "model.onnx"),
    "a truncated model": (lambda p: _truncate(p.model), "model.onnx"),
    "an empty model": (lambda p: p.model.write_bytes(b""), "model.onnx"),
    "a pointer in place of the model": (lambda p: p.model.write_bytes(_POINTER), "model.onnx"),
    "a model with two inputs": (_another_model(_model(inputs=2)), "model.onnx"),
    "a model that takes no image": (_another_model(_model(shape=(1, 3, 8, 8, 8))), "model.onnx"),
    "a model that takes no square": (_another_model(_model(shape=(1, 3, 8, 16))), "square"),
}


@pytest.mark.parametrize("name", _SPOILED)
def test_a_bad_input_is_reported_and_nothing_is_written(
    name: str, place: _Place, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil, named = _SPOILED[name]
    spoil(place)
    before = {path for path in place.root.rglob("*") if place.output not in (path, *path.parents)}
    assert main(place.tune()) is ExitCode.USER
    out, err = capfd.readouterr()
    assert named in err
    assert "error: " in err
    assert "Traceback" not in err
    assert out == ""
    assert {path for path in place.root.rglob("*") if place.output not in (path, *path.parents)} == before
    assert not list(place.root.rglob("*-int8.onnx"))


_FLAGS: dict[str, tuple[tuple[str, ...], str]] = {
    "more calibration images than there are": (("--sampling_size=100",), "sampling_size"),
    "a crop that the model cannot take": (("--crop=5", "--resize=6"), "5"),
    "a calibration list that is not there": (("--calibration_list=none.txt",), "none.txt"),
    "a rewrite that there is not": (("--rewrites=space-to-dept,redundant",), "did you mean 'space-to-depth'"),
    "a set of rewrites beside a name": (("--rewrites=none,redundant",), "stand alone"),
    "an input contract that there is not": (("--input_contract=uint8",), "uint8-nhwc"),
    "a run to resume that is none": (("--resume=nowhere",), "nowhere"),
    "a report to replay that is none": (("--replay=nowhere.json",), "nowhere.json"),
}


@pytest.mark.parametrize("name", _FLAGS)
def test_a_flag_that_does_not_fit_is_reported(name: str, place: _Place, capfd: pytest.CaptureFixture[str]) -> None:
    flags, named = _FLAGS[name]
    assert main(place.tune(*flags)) is ExitCode.USER
    out, err = capfd.readouterr()
    assert named in err
    assert "Traceback" not in err
    assert out == ""


def test_a_run_in_the_way_is_left_as_it_is(place: _Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.output.mkdir()
    (place.output / "report.json").write_text("{}")
    assert main(place.tune()) is ExitCode.USER
    err = capfd.readouterr().err
    assert "--overwrite" in err
    assert [path.name for path in place.output.iterdir()] == ["report.json"]


def test_a_model_without_images_asks_for_them(place: _Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", f"--input_model={place.model}"]) is ExitCode.USER
    assert "--data_path" in capfd.readouterr().err


def test_a_model_that_is_not_known_needs_a_preset(place: _Place, capfd: pytest.CaptureFixture[str]) -> None:
    words = [word for word in place.tune() if not word.startswith("--preset")]
    assert main(words) is ExitCode.USER
    err = capfd.readouterr().err
    assert "caffe" in err
    assert "imagenet" in err


def test_a_fetched_file_is_not_written_over(place: _Place, capfd: pytest.CaptureFixture[str]) -> None:
    before = place.model.read_bytes()
    assert main(["fetch", "squeezenet1.0-12", f"--output={place.model}"]) is ExitCode.USER
    assert "model.onnx" in capfd.readouterr().err
    assert place.model.read_bytes() == before


def test_a_model_that_cannot_be_fetched_is_named(place: _Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "squeezenet9", "--output=x.onnx"]) is ExitCode.USER
    assert "squeezenet9" in capfd.readouterr().err
    assert not (place.root / "x.onnx").exists()
