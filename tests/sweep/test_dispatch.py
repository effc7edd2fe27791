from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from distributed import Client

from quantize.errors import ExitCode
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.progress import silent
from quantize.sweep.dispatch import Dispatch, Job
from quantize.sweep.tuning import Outcome
from tests.sweep.jobs import kill_worker, nap

pytestmark = pytest.mark.long


def _run(client: Client, *jobs: Job, patience: float = 120) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    Dispatch(client, patience, losses=1).run(jobs, outcomes.__setitem__, silent)
    return outcomes


def _job(name: str, function: object, argument: object, cpu_class: str | None = None, *, elsewhere: bool = True) -> Job:
    return Job(name, function, argument, cpu_class or this_cpu_class(), elsewhere)  # type: ignore[arg-type]


def test_jobs_run_one_at_a_time_and_only_where_latency_is_measured(marked_client: Client) -> None:
    outcomes = _run(marked_client, *(_job(f"{number}", nap, 0.1) for number in range(3)))
    assert {outcome.worker for outcome in outcomes.values()} == {"0"}
    times = sorted(tuple(map(float, (outcome.facts or "").split())) for outcome in outcomes.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(times))


def test_a_job_whose_worker_is_lost_is_done_again_and_one_that_ends_every_worker_fails_alone(
    marked_client: Client, tmp_path: Path
) -> None:
    outcomes = _run(
        marked_client,
        _job("poison", kill_worker, None),
        _job("unlucky", kill_worker, tmp_path / "marker"),
        _job("good", nap, 0.0),
    )
    assert {name: outcome.exit_code for name, outcome in outcomes.items()} == {
        "poison": ExitCode.BUG,
        "unlucky": ExitCode.DONE,
        "good": ExitCode.DONE,
    }
    assert outcomes["poison"].error == "it ended every worker that took it"


def test_a_job_for_cpus_that_no_worker_has_is_done_elsewhere_or_tells_so(marked_client: Client) -> None:
    outcomes = _run(
        marked_client,
        _job("tune", nap, 0.0, "arm64"),
        _job("measure", nap, 0.0, "arm64", elsewhere=False),
        patience=1.0,
    )
    assert outcomes["tune"].exit_code == ExitCode.DONE
    assert outcomes["measure"].exit_code == ExitCode.USER
    assert outcomes["measure"].error == "no worker is left that measures latency"
