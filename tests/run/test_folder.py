from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantize.errors import RunError
from quantize.run.folder import demonstration_folder, find_run, newest_run, plan_run, refuse_to_write_over


def plan(output: Path, *, overwrite: bool = False, **changes: object):
    values = {"stem": "squeezenet1.0-12", "opset": 12, "first_format": "qlinear"} | changes
    run = plan_run(output, **values)
    refuse_to_write_over(run, Path("none.onnx"), overwrite=overwrite)
    return run


def test_a_folder_gets_both_formats_named_as_in_the_zoo(tmp_path: Path):
    run = plan(tmp_path / "out")
    assert run.int8 == tmp_path / "out" / "squeezenet1.0-12-int8.onnx"
    assert run.qdq == tmp_path / "out" / "squeezenet1.0-13-qdq.onnx"


@pytest.mark.parametrize(("opset", "int8", "qdq"), [(7, 12, 13), (12, 12, 13), (13, 13, 13), (17, 17, 17)])
def test_the_names_carry_the_opset_of_the_files(tmp_path: Path, opset: int, int8: int, qdq: int):
    run = plan(tmp_path / "out", stem="net", opset=opset)
    assert (run.int8.name, run.qdq.name) == (f"net-{int8}-int8.onnx", f"net-{qdq}-qdq.onnx")


def test_a_file_gets_the_format_that_the_framework_names_and_the_other_is_next_to_it(tmp_path: Path):
    run = plan(tmp_path / "mine.onnx")
    assert (run.int8, run.qdq) == (tmp_path / "mine.onnx", tmp_path / "squeezenet1.0-13-qdq.onnx")
    assert run.path == tmp_path / "mine.run"
    run = plan(tmp_path / "mine.onnx", first_format="qdq")
    assert (run.qdq, run.int8) == (tmp_path / "mine.onnx", tmp_path / "squeezenet1.0-12-int8.onnx")


def test_a_file_named_as_the_other_format_is_refused(tmp_path: Path):
    with pytest.raises(RunError, match="same name"):
        plan(tmp_path / "squeezenet1.0-13-qdq.onnx")


@pytest.mark.parametrize(
    "name", ["report.json", "trials.jsonl", "squeezenet1.0-12-int8.onnx", "squeezenet1.0-13-qdq.onnx"]
)
def test_an_existing_run_is_not_written_over_unless_asked(tmp_path: Path, name: str):
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError) as caught:
        plan(tmp_path)
    assert name in str(caught.value)
    assert "--overwrite" in str(caught.value)
    assert plan(tmp_path, overwrite=True).path == tmp_path


def test_a_model_in_an_engines_folder_is_in_the_way_of_a_run_that_writes_there(tmp_path: Path):
    own = tmp_path / "native" / "squeezenet1.0-12-int8.onnx"
    own.parent.mkdir()
    own.write_text("of another run")
    assert plan(tmp_path).models_of_engines == ()
    with pytest.raises(RunError, match="write over") as caught:
        plan(tmp_path, engines=("inc", "native"))
    assert str(own) in str(caught.value)
    assert own in plan(tmp_path, engines=("inc", "native"), overwrite=True).models_of_engines


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(RunError, match="a file is where"):
        plan(tmp_path / "out", overwrite=True)


def test_the_demonstration_takes_the_next_free_name(tmp_path: Path):
    for name in ("demo", "demo-2", "demo-3"):
        assert demonstration_folder(tmp_path) == tmp_path / name
        (tmp_path / name).mkdir()


def test_a_run_is_found_by_its_folder_or_its_report(tmp_path: Path):
    (tmp_path / "report.json").write_text("{}")
    assert find_run(tmp_path) == find_run(tmp_path / "report.json") == tmp_path
    with pytest.raises(RunError, match="not a run"):
        find_run(tmp_path / "nothing")


def test_the_newest_run_is_the_one_whose_report_was_written_last(tmp_path: Path):
    with pytest.raises(RunError, match="no run"):
        newest_run(tmp_path)
    for name, when in (("a", 300), ("b", 100)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text("{}")
        os.utime(tmp_path / name / "report.json", (when, when))
    assert newest_run(tmp_path).name == "a"


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("")
    with pytest.raises(RunError, match="a file is where") as caught:
        plan(file / "deep" / "run", overwrite=True)
    assert caught.value.where == str(file)
