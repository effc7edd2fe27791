"""A run's folder from a stranger, in which links name other places to write to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from quantize.config import load_config
from quantize.errors import RunError
from quantize.report.storage import read_report, write_report
from quantize.run.folder import plan_run
from quantize.run.links import refuse_links_that_leave
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.resume import _models_of_an_earlier_run
from quantize.run.tune import tune
from tests.run.colours import bytes_of


@pytest.mark.parametrize("name", ["trials.jsonl", "work", "work/crops", "work/deep/file", "native"])
def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    link = tmp_path / "run" / name
    link.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="leads out of it") as refused:
        refuse_links_that_leave(tmp_path / "run")
    assert refused.value.where == str(link)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run" / "work").mkdir(parents=True)
    (tmp_path / "run" / "work" / "loop").symlink_to("loop")
    with pytest.raises(RunError, match="leads out of it"):
        refuse_links_that_leave(tmp_path / "run")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
@pytest.mark.parametrize("name", ["trials.jsonl", "work/fp32.onnx", "work/crops/crops-1.npy"])
def test_a_pipe_in_the_folder_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    pipe = tmp_path / "run" / name
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    with pytest.raises(RunError, match="no file") as refused:
        refuse_links_that_leave(tmp_path / "run")
    assert refused.value.where == str(pipe)


def test_links_to_a_run_and_within_it_are_followed(tmp_path: Path) -> None:
    (tmp_path / "run" / "work" / "crops").mkdir(parents=True)
    (tmp_path / "run" / "work" / "again").symlink_to(tmp_path / "run" / "work" / "crops")
    (tmp_path / "named").symlink_to(tmp_path / "run")
    refuse_links_that_leave(tmp_path / "named")
    refuse_links_that_leave(tmp_path / "not-yet")


def test_a_run_whose_work_lies_elsewhere_by_a_link_is_not_resumed_and_writes_nothing_there(
    colour_run: TuneResult, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(colour_run.run, tmp_path / "out"))
    (run / "report.json").unlink()
    (run / "work").rename(tmp_path / "elsewhere")
    (run / "work").symlink_to(tmp_path / "elsewhere")
    before = bytes_of(tmp_path)
    with pytest.raises(RunError, match="leads out of it"):
        tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run, workers=1))
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize(
    "place", ["mine.onnx", "out/mine.onnx", "out/native/mine.onnx", "out/mine.txt", "deep/mine.onnx"]
)
def test_only_what_lies_where_a_run_writes_models_is_taken_for_an_earlier_one_s(
    colour_run: TuneResult, tmp_path: Path, place: str
) -> None:
    report = read_report(colour_run.run / "report.json")
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(colour_run.run / report.models[0].file, file)
    folder = plan_run(tmp_path / "out", stem="net", opset=13, first_format="qlinear")
    named = report.models[0].model_copy(update={"file": f"../{place}"})
    folder.path.mkdir(exist_ok=True)
    write_report(report.model_copy(update={"models": (named, *report.models[1:])}), folder.report)
    taken = [path.resolve() for path in _models_of_an_earlier_run(folder)]
    assert taken == ([file] if place in ("out/mine.onnx", "out/native/mine.onnx") else [])
