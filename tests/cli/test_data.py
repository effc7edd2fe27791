from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantize.cli.main import main
from quantize.errors import ExitCode


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder of six pictures and their label file."""
    folder = tmp_path / "val"
    folder.mkdir()
    lines = []
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png {number}\n")
    (tmp_path / "val.txt").write_text("".join(lines))
    return tmp_path


def test_a_sound_data_set_is_called_so_and_drawn(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "check", str(data / "val"), "--label_path", str(data / "val.txt"), "--workers=1"]
    assert main([*words, "--contact_sheet", str(data / "sheet.png")]) is ExitCode.DONE
    out = capsys.readouterr().out
    assert "6, labels 0 to 5, 1 each" in out
    assert out.endswith("No problems found.\n")
    with Image.open(data / "sheet.png") as sheet:
        assert sheet.format == "PNG"
    assert main([*words, "--contact_sheet", str(data / "sheet.png")]) is ExitCode.USER
    assert main([*words, "--contact_sheet", str(data / "sheet.png"), "--overwrite"]) is ExitCode.DONE
    assert main([*words, "--classes", "3"]) is ExitCode.USER


def test_everything_wrong_with_a_data_set_is_reported(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = data / "val"
    shutil.copy(folder / "0.png", folder / "copy.png")
    (folder / "broken.png").write_bytes(b"not an image")
    Image.new("L", (9, 9)).save(folder / "grey.png")
    labels = data / "val.txt"
    labels.write_text(labels.read_text() + "copy.png 3\nbroken.png 1\ngrey.png 2\n")
    (data / "calibration.txt").write_text("0.png\n")
    words = ["data", "check", str(folder), f"--label_path={labels}", f"--calibration_list={data / 'calibration.txt'}"]
    assert main([*words, "--workers=1"]) is ExitCode.NOT_MET
    out = capsys.readouterr().out
    for said in (
        "UNREADABLE",
        "broken.png",
        "CONTRADICTIONS",
        "CALIBRATION",
        "copy.png",
        "grey.png (L)",
        "Problems found",
    ):
        assert said in out
    assert main([*words, "--workers=1", "--json"]) is ExitCode.NOT_MET
    report = json.loads(capsys.readouterr().out)
    assert report["sound"] is False
    assert report["images"] == 9


def test_a_folder_without_labels_can_be_checked(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(data / "val"), "--workers=1"]) is ExitCode.DONE
    assert "no labels" in capsys.readouterr().out
