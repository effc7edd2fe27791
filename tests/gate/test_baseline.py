"""The baseline that an accepted run leaves, and the project's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from quantize.commands.check import accept_run
from quantize.gate.baseline import Baseline, read_baseline
from quantize.report.storage import json_schema


def test_accepting_the_same_run_twice_gives_the_same_bytes(new_run: Any, tmp_path: Path) -> None:
    run = new_run()
    for name in ("a.json", "b.json"):
        accept_run(run.folder, tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").stat().st_size < 6000


def test_a_baseline_is_of_its_schema_and_changes_a_line_a_value(new_run: Any, tmp_path: Path) -> None:
    run = new_run()
    accept_run(run.folder, tmp_path / "a.json")
    jsonschema.validate(json.loads((tmp_path / "a.json").read_text()), json.loads(json_schema(Baseline)))
    run.change(lambda r: r["models"][0]["selection"]["evaluation"]["fidelity"].update(agreement=0.5))
    accept_run(run.folder, tmp_path / "b.json")
    before, after = ((tmp_path / name).read_text().splitlines() for name in ("a.json", "b.json"))
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new.strip() for _, new in changed] == ['"agreement": 0.5,']
    assert read_baseline(tmp_path / "b.json").models["int8"].figures["agreement"] == 0.5


_OWN = sorted((Path(__file__).resolve().parents[1] / "baselines").glob("*.json"))


@pytest.mark.parametrize("path", _OWN, ids=lambda path: path.stem)
def test_the_projects_own_baselines_name_their_class_their_cpu_and_the_commit(path: Path) -> None:
    own = read_baseline(path)
    network, cpu_class = path.stem.split(".")
    assert (network, own.machine.known_class) == ("squeezenet", cpu_class)
    assert own.target == cpu_class
    assert own.machine.cpu_model is not None
    assert own.commit is not None
    assert own.models["int8"].figures["top1_drop"] <= 0.01


def test_the_project_has_a_baseline_for_cpus_with_vnni() -> None:
    assert "squeezenet.vnni.json" in {path.name for path in _OWN}
