"""No command that is given a stranger's model dies of it, or says more than one message."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.cli.main import main
from quantize.commands.package import package
from quantize.config import RunConfig
from quantize.errors import ExitCode, ModelError
from quantize.packages.archive import read_archive, write_archive
from quantize.packages.verify import verify_package
from quantize.provenance import sha256_bytes
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.opening.strangers import zero_stride

MESSAGE = "opening the model ended the process that did it"


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    path = tmp_path / "stranger.onnx"
    path.write_bytes(zero_stride().SerializeToString())
    return path


@pytest.mark.parametrize(
    "command",
    [
        "inspect MODEL",
        "verify MODEL",
        "machine MODEL",
        "predict MODEL IMAGES",
        "predict GOOD IMAGES --compare MODEL",
        "doctor MODEL --data_path IMAGES --preset imagenet",
        "benchmark --input_model MODEL --data_path IMAGES",
        "benchmark --input_model GOOD --baseline_model MODEL --data_path IMAGES --mode accuracy",
        "tune --input_model MODEL --data_path IMAGES --preset imagenet --engine ort --output_model OUT",
    ],
)
def test_every_command_survives_a_model_that_divides_by_zero(
    command: str,
    stranger: Path,
    colour_model: Path,
    colour_images: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"MODEL": stranger, "GOOD": colour_model, "IMAGES": colour_images[0], "OUT": tmp_path / "out"}
    arguments = [str(places.get(word, word)) for word in command.split()]
    assert main(arguments) == ExitCode.USER
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("error: ") == 1
    assert MESSAGE in said.err
    assert "SIGFPE" in said.err
    assert not (tmp_path / "out").exists()


def test_a_run_and_a_package_whose_model_does_harm_are_refused(
    ort_run: TuneResult, stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(ort_run.run, tmp_path / "run"))
    packages = package(run)
    name, files = read_archive(packages[0])
    said = json.loads(files["provenance.json"])
    said["files"]["model.onnx"] = sha256_bytes(stranger.read_bytes())
    files = {**files, "model.onnx": stranger.read_bytes(), "provenance.json": json.dumps(said).encode()}
    write_archive(tmp_path / f"{name}.tar.gz", name, files)
    with pytest.raises(ModelError, match=MESSAGE):
        verify_package(tmp_path / f"{name}.tar.gz")
    report = json.loads((run / "report.json").read_text())
    for section in report["models"]:
        shutil.copy(stranger, run / section["file"])
        section["sha256"] = sha256_bytes(stranger.read_bytes())
    (run / "report.json").write_text(json.dumps(report))
    with pytest.raises(ModelError, match=MESSAGE):
        package(run, tmp_path / "again")
    assert main(["check", str(run), "--baseline", "none"]) in (ExitCode.NOT_MET, ExitCode.USER)
    assert "Traceback" not in capsys.readouterr().err


def test_candidates_in_a_run_folder_from_a_stranger_are_opened_in_a_child_first(
    ort_run: TuneResult, configured: Callable[..., RunConfig], stranger: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(ort_run.run, tmp_path / "run"))
    candidates = list(run.glob("work/**/candidates/*.onnx"))
    assert candidates
    for candidate in candidates:
        shutil.copy(stranger, candidate)
    (run / "report.json").unlink()
    again = tune(TuneRequest(configured({"tuning.engine": "ort"}), resume=run, workers=1))
    assert again.report.chosen.recipe_id == ort_run.report.chosen.recipe_id
