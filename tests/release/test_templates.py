"""The templates for CI, run here with a stand-in for `quantize` that says what it was called with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from quantize.cli.main import parse

_ROOT = Path(__file__).parents[2]
_SAYS = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
"""

Run = Callable[[str, Mapping[str, str]], list[list[str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a script of a template and returns the calls of `quantize` and of `python`."""
    for name in ("bin/quantize", "bin/python", "quantize/bin/python"):
        said = tmp_path / name
        said.parent.mkdir(parents=True, exist_ok=True)
        said.write_text(_SAYS)
        said.chmod(0o755)
    calls = tmp_path / "calls"

    def ran(script: str, variables: Mapping[str, str], shell: Sequence[str] = ("bash", "-e")) -> list[list[str]]:
        calls.write_text("")
        paths = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "CALLS": str(calls)}
        subprocess.run([*shell, "-c", script], env={**paths, **variables}, cwd=tmp_path, check=True, timeout=60)
        return [json.loads(line) for line in calls.read_text().splitlines()]

    return ran


def action() -> Any:
    return yaml.safe_load((_ROOT / "action.yml").read_text())


def step(name: str, given: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the script of a step and its variables, inputs put in."""
    known = {key: value.get("default", "") for key, value in action()["inputs"].items()} | dict(given)
    found = next(each for each in action()["runs"]["steps"] if each.get("name") == name)
    variables = {key: known[value[len("${{ inputs.") : -len(" }}")]] for key, value in found["env"].items()}
    return found["run"], variables


GIVEN = {"input_model": "my model.onnx", "data_path": "val; rm -rf x", "baseline": "baseline.json"}


def test_the_github_action_tunes_and_checks_with_what_it_is_given(run: Run) -> None:
    (tuned,) = run(*step("Tune", {**GIVEN, "tune_flags": "--preset=imagenet\n\n--relative=0.005"}))
    assert tuned == [
        "tune",
        "--input_model=my model.onnx",
        "--data_path=val; rm -rf x",
        "--output_model=run",
        "--preset=imagenet",
        "--relative=0.005",
    ]
    (checked,) = run(*step("Check", {**GIVEN, "on_inconclusive": "pass"}))
    assert checked == ["check", "run", "--baseline=baseline.json", "--junit=run/junit.xml", "--on_inconclusive=pass"]
    assert callable(parse(tuned))
    assert callable(parse(checked))


@pytest.mark.parametrize(("extras", "package"), [("inc", "/action[inc]"), ("", "/action")])
def test_the_github_action_installs_itself_into_an_environment_that_later_steps_find(
    run: Run, tmp_path: Path, extras: str, package: str
) -> None:
    script, variables = step("Install", {"extras": extras})
    found = tmp_path / "path"
    runner = {"RUNNER_TEMP": str(tmp_path), "GITHUB_ACTION_PATH": "/action", "GITHUB_PATH": str(found)}
    made, installed = run(script, {**variables, **runner})
    assert made == ["-m", "venv", str(tmp_path / "quantize")]
    assert installed == ["-m", "pip", "install", "--quiet", package]
    assert found.read_text() == f"{tmp_path / 'quantize' / 'bin'}\n"


def test_no_step_of_the_action_writes_an_input_into_its_script() -> None:
    for each in action()["runs"]["steps"]:
        assert "${{" not in each.get("run", "")


def test_every_input_of_the_action_is_used_and_described() -> None:
    text = (_ROOT / "action.yml").read_text()
    for name, known in action()["inputs"].items():
        assert known["description"]
        assert f"${{{{ inputs.{name} }}}}" in text or f"inputs.{name} " in text


def test_the_gitlab_job_tunes_and_checks_with_its_variables(run: Run) -> None:
    job = yaml.safe_load((_ROOT / "ci" / "gitlab.yml").read_text())[".quantize"]
    variables = {**job["variables"], "INPUT_MODEL": "m.onnx", "DATA_PATH": "val", "TUNE_FLAGS": "--preset=imagenet"}
    tuned, checked = run("\n".join(job["script"]), variables)
    assert tuned == ["tune", "--input_model=m.onnx", "--data_path=val", "--output_model=run", "--preset=imagenet"]
    assert checked == ["check", "run", "--baseline=none", "--junit=run/junit.xml", "--on_inconclusive=fail"]


def test_the_gitlab_job_installs_from_its_repository(run: Run) -> None:
    job = yaml.safe_load((_ROOT / "ci" / "gitlab.yml").read_text())[".quantize"]
    for extras, package in (("inc", "quantize[inc]"), ("", "quantize")):
        (installed,) = run("\n".join(job["before_script"]), {**job["variables"], "EXTRAS": extras})
        assert installed[-1] == f"{package} @ git+{job['variables']['QUANTIZE_REPOSITORY']}"


def test_versions_of_the_package_and_its_citation_are_the_same() -> None:
    import quantize

    cited = yaml.safe_load((_ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert {"title", "authors", "message", "license"} <= set(cited)
    assert cited["version"] == quantize.__version__


def test_the_container_installs_the_package_and_is_told_of_nothing_that_is_not_there(run: Run) -> None:
    lines = (_ROOT / "Containerfile").read_text().splitlines()
    words = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert words == ["FROM", "ARG", "COPY", "RUN", "WORKDIR", "ENTRYPOINT", "CMD"]
    installing = next(line for line in lines if line.startswith("RUN")).removeprefix("RUN ")
    assert run(installing, {"EXTRAS": "inc"}) == [["-m", "pip", "install", "--no-cache-dir", "/opt/quantize[inc]"]]
    extras = next(re.findall(r"EXTRAS=(\w+)", line) for line in lines if line.startswith("ARG"))
    assert all(f"\n{extra} = [" in (_ROOT / "pyproject.toml").read_text() for extra in extras)


def test_the_example_of_the_action_gives_inputs_that_it_takes() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (_ROOT / "docs" / "ci.md").read_text(), re.DOTALL)
    workflow = yaml.safe_load(next(block for block in blocks if "quantize@" in block))
    (used,) = (each for each in workflow["jobs"]["quantize"]["steps"] if "quantize@" in each.get("uses", ""))
    required = {name for name, known in action()["inputs"].items() if known.get("required")}
    assert required <= set(used["with"]) <= set(action()["inputs"])
