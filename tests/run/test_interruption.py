"""A real run, killed and interrupted at several moments, and continued."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import psutil

from quantize.config import load_config
from quantize.errors import ExitCode
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.colours import bytes_of, environment
from tests.run.conftest import Configured

_PATIENCE = 90.0


@contextmanager
def started(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the console script; kill what is left of it at the end."""
    child = subprocess.Popen(
        [sys.executable, "-m", "quantize", *arguments],
        cwd=folder,
        env=environment(folder / "cache"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def wait_until(happened: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    until = time.monotonic() + _PATIENCE
    while not happened():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def ended_with_its_children(child: subprocess.Popen[str], number: signal.Signals) -> int:
    """Send a signal, to the process alone, and return its exit status once all of its children are gone too."""
    children = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(number)
    code = child.wait(_PATIENCE)
    _, alive = psutil.wait_procs(children, timeout=_PATIENCE)
    assert alive == []
    return code


def unfinished(run: Path) -> None:
    assert not (run / "report.json").exists()
    assert not (run / "report.md").exists()


def test_a_run_that_is_killed_and_interrupted_goes_on_to_what_an_unbroken_one_gives(
    colour_run: TuneResult, colour_model: Path, configured: Configured, tmp_path: Path, brief: None
) -> None:
    settings, run = tmp_path / "settings.yaml", tmp_path / "out"
    settings.write_text(configured().to_yaml())
    names = [f"--input_model={colour_model}", f"--config={settings}", f"--output_model={run}", "--workers=1"]

    with started("tune", *names, folder=tmp_path) as child:
        wait_until((run / "work" / "onnxruntime_quantizer.log").exists, child)
        assert ended_with_its_children(child, signal.SIGKILL) == -signal.SIGKILL
    unfinished(run)
    assert not list(run.glob("*.onnx"))

    before = bytes_of(run)
    with started("tune", *names, folder=tmp_path) as child:
        _, errors = child.communicate(timeout=_PATIENCE)
    assert child.returncode == ExitCode.USER
    assert "--resume" in errors
    assert bytes_of(run) == before

    with started("tune", f"--resume={run}", "--workers=1", folder=tmp_path) as child:
        wait_until((run / "colours-13-qdq.onnx").exists, child)
        assert ended_with_its_children(child, signal.SIGINT) == ExitCode.INTERRUPTED
        output, errors = child.communicate()
    unfinished(run)
    assert output == ""
    assert "Traceback" not in errors
    assert not list(run.rglob("*.part"))
    for name in ("colours-13-int8.onnx", "colours-13-qdq.onnx"):
        onnx.checker.check_model(run / name, full_check=True)
    journal = (run / "trials.jsonl").read_text().splitlines()
    assert [json.loads(line).get("step", "").split(" ")[0] for line in journal] == ["", "trial", "searched"]

    result = tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run, workers=1))
    assert result.exit_code is ExitCode.DONE
    assert (run / "trials.jsonl").read_text().splitlines() == journal
    assert [trial.model_dump(mode="json") for trial in result.report.trials] == [
        json.loads(journal[1])["result"]["section"]
    ]
    for role in ("int8", "qdq"):
        assert result.report.model(role).graph_sha256 == colour_run.report.model(role).graph_sha256
