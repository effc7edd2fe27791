"""The examples of docs/ci.md, parsed out of the page and run with a local shell on a recorded run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml

_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ci.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", _PAGE, flags=re.M | re.S)
    return [text for name, text in blocks if name == language]


@pytest.fixture
def place(new_run: Any, baseline: Path, tmp_path: Path) -> Path:
    """A checkout with a baseline, and a PATH whose pip does nothing and whose quantize gives the recorded run."""
    root, tools = tmp_path / "checkout", tmp_path / "tools"
    root.mkdir()
    tools.mkdir()
    shutil.copy(baseline, root / "baseline.json")
    recorded = new_run("recorded").folder
    (tools / "quantize").write_text(
        f'#!/bin/sh\nif [ $1 = tune ]; then cp -r {recorded} run; exit; fi\nexec {sys.executable} -m quantize "$@"\n'
    )
    (tools / "python").write_text(f'#!/bin/sh\nif [ "$2" = pip ]; then exit; fi\nexec {sys.executable} "$@"\n')
    (tools / "pytest").write_text(f'#!/bin/sh\nexec {sys.executable} -m pytest "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return root


def _shell(script: str, place: Path, **more: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "PYTEST_"))}
    path = f"{place.parent / 'tools'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=place,
        env={**clean, **more, "PATH": path},
        capture_output=True,
        text=True,
        timeout=400,
    )


def _break(place: Path) -> None:
    recorded = place.parent / "recorded" / "report.json"
    recorded.write_text(re.sub(r'("agreement": )0\.9\d+', r"\g<1>0.5", recorded.read_text("utf-8")), "utf-8")


def _github_script() -> str:
    workflow = yaml.safe_load(next(block for block in _blocks("yaml") if "runs-on" in block and "run:" in block))
    (job,) = workflow["jobs"].values()
    return "\n".join(step["run"] for step in job["steps"] if "run" in step)


def _gitlab_job() -> dict[str, Any]:
    pipeline = yaml.safe_load(next(block for block in _blocks("yaml") if "artifacts:" in block and "script" in block))
    job: dict[str, Any] = pipeline["int8"]
    return job


def test_the_github_example_runs_and_writes_the_jobs_summary(place: Path) -> None:
    summary = place / "summary.md"
    ran = _shell(_github_script(), place, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert ran.returncode == 0, ran.stderr
    assert summary.read_text("utf-8").startswith("# Quantization check passed")
    assert "::error" not in ran.stdout
    assert JUnitXml.fromfile(str(place / "junit.xml")).failures == 0


def test_the_github_example_fails_with_annotations_when_int8_got_worse(place: Path) -> None:
    _break(place)
    ran = _shell(_github_script(), place, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(place / "s.md"))
    assert ran.returncode == 1
    annotated = [line for line in ran.stdout.splitlines() if line.startswith("::error title=")]
    assert any("agreement" in line for line in annotated)
    assert JUnitXml.fromfile(str(place / "junit.xml")).failures == len(annotated)


def test_the_gitlab_example_runs_and_leaves_what_it_keeps(place: Path) -> None:
    job = _gitlab_job()
    ran = _shell("\n".join(job["script"]), place)
    assert ran.returncode == 0, ran.stderr
    assert (place / job["artifacts"]["reports"]["junit"]).is_file()
    assert (place / "run" / "check.md").is_file()


def test_the_python_example_runs_and_fails_with_the_lines(place: Path) -> None:
    (place / "test_int8.py").write_text(_blocks("python")[0])
    command = next(block for block in _blocks("") if block.startswith("pytest "))
    assert _shell(f"quantize tune; {command}", place).returncode == 0
    (place / "test_int8.py").write_text("def test_int8(quantize_run):\n    quantize_run.check().require()\n")
    _break(place)
    shutil.rmtree(place / "run")
    failed = _shell(f"quantize tune; {command}", place)
    assert failed.returncode == 1
    assert "agreement with fp32" in failed.stdout
    assert "Traceback" not in failed.stdout


def test_the_fixture_without_a_run_says_what_to_say(place: Path) -> None:
    (place / "test_int8.py").write_text("def test_int8(quantize_run):\n    pass\n")
    failed = _shell("pytest test_int8.py", place)
    assert failed.returncode == 1
    assert "--quantize-run" in failed.stdout
