"""The commands of README and docs, run as a reader runs them: page by page, in their order, in a folder of their own.

Every command is run but those that search, measure for minutes, or wait for a network. A small network and its finished
run stand there under the names that the pages use. A name that stands for nothing is a file that is not there: the
command ends with 2, and the test fails.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from onnx import helper

import quantize
from quantize.cli.main import main
from quantize.errors import ExitCode
from tests.cli.documentation import PAGES, Documented, documented
from tests.data.layouts import Layouts
from tests.three_colours import write_colours

_LONG = {"tune", "sweep", "benchmark", "fetch"}
_RAN = {ExitCode.DONE, ExitCode.NOT_MET, ExitCode.INCONCLUSIVE}

_STAND_FOR = {
    "FP32.onnx": "squeezenet1.0-12.onnx",
    "INT8.onnx": "run/squeezenet1.0-12-int8.onnx",
    "RUN": "run",
    "DATA": "val",
    "LABELS.txt": "val.txt",
    "IMAGE": "val/00.png",
    "val/n01440764_tench.JPEG": "val/00.png",
}


def _short(page: str) -> list[Documented]:
    return [command for command in documented(page) if command.words[0] not in _LONG]


_PAGES = [page for page in PAGES if _short(page)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, pictures in two layouts, labels and a finished run; do not write into it."""
    place = tmp_path_factory.mktemp("finished")
    write_colours(place, "squeezenet1.0-12.onnx", pictures=130, opset=12)
    (place / "images").rename(place / "val")
    (place / "labels.txt").rename(place / "val.txt")
    labels = dict(line.split() for line in (place / "val.txt").read_text().splitlines())
    layouts = Layouts(place, {name: ((place / "val" / name).read_bytes(), int(labels[name])) for name in labels})
    layouts.val_tar()
    layouts.devkit()
    layouts.devkit_archive()
    quantize.tune(
        place / "squeezenet1.0-12.onnx",
        data_path=place / "val",
        label_path=place / "val.txt",
        output_model=place / "run",
        preset="imagenet",
        engine="ort",
        max_trials=1,
        iteration=5,
        min_speedup=0,
        rewrites="none",
        placement="all-int8",
        workers=1,
    )
    _know_the_preprocessing(place / "squeezenet1.0-12.onnx", place / "run" / "squeezenet1.0-12-int8.onnx")
    return place


def _know_the_preprocessing(model: Path, int8: Path) -> None:
    """Write into a model what the catalog knows of the real one, as the run's file has it."""
    known = {entry.key: entry.value for entry in onnx.load(int8).metadata_props}
    read = onnx.load(model)
    helper.set_model_props(read, {"quantize.preprocessing": known["quantize.preprocessing"]})
    onnx.save(read, model)


@pytest.mark.parametrize("page", _PAGES)
def test_the_short_commands_of_a_page_run(
    page: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    for command in _short(page):
        words = [_STAND_FOR.get(word, word) for word in command.words]
        code = main(words)
        assert code in _RAN, f"{command.line}: exit code {int(code)}\n{capfd.readouterr().err}"


def test_most_pages_with_commands_have_short_ones() -> None:
    assert {"docs/commands.md", "docs/tutorial.md", "docs/imagenet.md", "docs/ci.md"} <= set(_PAGES)
