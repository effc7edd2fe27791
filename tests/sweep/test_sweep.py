from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from distributed import Client, SpecCluster

from quantize.errors import ExitCode
from quantize.report.storage import read_report
from quantize.run.request import TuneResult
from quantize.sweep.report import SweepReport
from quantize.sweep.sweep import sweep
from tests.sweep.conftest import Written


def _kill_once(client: Client, worker: str, sign: Path) -> threading.Thread:
    """Kill a worker as soon as a file is there; it is started again."""

    def kill() -> None:
        while not sign.is_file():
            time.sleep(0.02)
        pids = client.run(_pid, nanny=True)
        names = {address: info["name"] for address, info in client.scheduler_info()["workers"].items()}
        for address, pid in pids.items():
            if str(names.get(address)) == worker and pid is not None:
                os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def _pid(dask_worker: object) -> int | None:
    process = getattr(dask_worker, "process", None)
    return None if process is None else process.pid


def test_a_sweep_loses_its_worker_and_comes_to_what_one_run_comes_to_and_is_not_done_again(
    cluster: SpecCluster,
    client: Client,
    written: Written,
    ort_run: TuneResult,
    colour_model: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    changes = {"models": [str(colour_model), str(tmp_path / "broken.onnx")], "scheduler": cluster.scheduler_address}
    request = written(changes)
    killer = _kill_once(client, "0", tmp_path / "sweep" / colour_model.stem / "trials.jsonl")
    with caplog.at_level(logging.INFO, logger="quantize"):
        result = sweep(request)
    killer.join(10)
    assert not killer.is_alive()
    good, broken = result.report.runs
    assert (broken.exit_code, broken.error is None) == (2, False)
    assert (good.exit_code, result.exit_code) == (0, ExitCode.USER)
    own, alone = read_report(result.folder / good.run / "report.json"), ort_run.report
    assert [model.graph_sha256 for model in own.models] == [model.graph_sha256 for model in alone.models]
    assert [model.selection for model in own.models] == [model.selection for model in alone.models]
    assert good.times.speed
    written_report = SweepReport.model_validate_json((result.folder / "sweep.json").read_text())
    assert written_report == result.report

    report = result.folder / good.run / "report.json"
    before = report.stat().st_mtime_ns
    again = sweep(written({**changes, "models": [str(colour_model)]}))
    assert report.stat().st_mtime_ns == before
    assert again.report.runs[0].models == good.models
