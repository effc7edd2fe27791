"""A run of a sweep on a worker: an ordinary run, in a process of its own that may die alone."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Client, get_worker

from quantize import errors
from quantize.commands.benchmark import benchmark
from quantize.commands.benchmark_subjects import BenchmarkRequest
from quantize.errors import ExitCode, QuantizeError
from quantize.files import write_text
from quantize.journal import recorded_request
from quantize.lock import HeldError
from quantize.processes.calls import call_in_child
from quantize.processes.child import ChildError
from quantize.run.folder import JOURNAL
from quantize.run.request import TuneRequest
from quantize.run.tune import tune
from quantize.sweep.earlier import Earlier, Identity, identity
from quantize.sweep.matrix import Entry
from quantize.sweep.sharing import SharedEvaluation

_LOG = logging.getLogger("quantize")

_UNWANTED_SECONDS = 3.0
_HELD_SECONDS = 60.0
"""How long a run waits for the process of a worker that was lost to let go of its folder."""


@dataclass(frozen=True)
class TuneTask:
    """What a worker that tunes is given.

    Attributes:
        sweep: Identity of the sweep.
        entry: The run.
        earlier: What lay in its folder when the sweep began.
        journal: The journal there at that time: another one is the sweep's own, from a worker that was lost.
        shard: Images in a part of an evaluation.
        patience: Seconds to wait for workers that evaluate.
        command: The command line, for the report.
    """

    sweep: str
    entry: Entry
    earlier: Earlier
    journal: Identity | None
    shard: int
    patience: float
    command: tuple[str, ...]


@dataclass(frozen=True)
class MeasureTask:
    """What a worker that measures a finished run is given.

    Attributes:
        entry: The run.
        output: The file of the result.
    """

    entry: Entry
    output: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        exit_code: As the command would have exited.
        error: Why nothing came of it; None: it is done.
        facts: Of that error: found, expected, to do.
        worker: The worker that did it.
        seconds: How long it took there.
    """

    exit_code: ExitCode
    error: str | None = None
    facts: str | None = None
    worker: str = ""
    seconds: float = 0.0


def tune_on_worker(task: TuneTask) -> Outcome:
    """Tune a model in a child process, and return what became of it; it raises nothing that the model can cause."""
    worker = get_worker()
    return _in_child(tune_in_child, (task, worker.scheduler.address, str(worker.get_current_task())))


def measure_on_worker(task: MeasureTask) -> Outcome:
    """Measure a finished run's files on this worker, in a child process."""
    return _in_child(measure_in_child, task)


def _in_child(function: Callable[[Any], Any], argument: Any) -> Outcome:
    start, worker = time.monotonic(), str(get_worker().name)

    def outcome(code: ExitCode, error: str | None = None, facts: str | None = None) -> Outcome:
        return Outcome(code, error, facts, worker, time.monotonic() - start)

    try:
        return outcome(ExitCode(call_in_child(function, argument, seconds=None, memory_bytes=None)))
    except QuantizeError as error:
        where = f"{error.where}: " if error.where else ""
        return outcome(error.exit_code, f"{where}{error.problem}", "\n".join(str(error).splitlines()[1:]) or None)
    except ChildError as error:
        return outcome(ExitCode.BUG, f"the process of the run died: {error.how}", error.stderr or None)


def tune_in_child(argument: tuple[TuneTask, str, str]) -> int:
    """Tune a model, or go on with what a lost worker began; return the exit code.

    Args:
        argument: What to do, the scheduler's address, and the key of the task there.
    """
    task, scheduler, key = argument
    entry, folder = task.entry, task.entry.folder
    own = identity(folder / JOURNAL) != task.journal
    ask = TuneRequest(config=entry.config, input_model=entry.model, output_model=folder, command=task.command)
    if (own or task.earlier == "begun") and _can_go_on(folder):
        ask = TuneRequest(config=entry.config, input_model=entry.model, resume=folder, command=task.command)
    elif own or task.earlier in ("overwrite", "begun"):
        ask = TuneRequest(
            config=entry.config, input_model=entry.model, output_model=folder, overwrite=True, command=task.command
        )
    data = entry.config.data
    assert data.path is not None
    with _log_into(folder / "work" / "sweep.log"), Client(scheduler, set_as_default=False) as client:
        threading.Thread(target=_end_when_unwanted, args=(client, key), daemon=True).start()
        share = SharedEvaluation(
            client, task.sweep, data.path, data.labels, folder.parent / "work" / "crops", task.shard, task.patience
        )
        return int(_once_free(lambda: tune(ask, all_images=share).exit_code))


def measure_in_child(task: MeasureTask) -> int:
    """Measure fp32 and both files of a finished run in alternation, and write what that gave; return 0."""
    report = benchmark(BenchmarkRequest(config=task.entry.config, run=task.entry.folder, mode="performance"))
    write_text(task.output, report.model_dump_json(indent=1) + "\n")
    return int(ExitCode.DONE)


def _end_when_unwanted(client: Client, key: str) -> None:
    """End this process when the sweep was interrupted: its scheduler then has forgotten the task."""
    while True:
        time.sleep(_UNWANTED_SECONDS)
        with suppress(OSError):
            if not client.run_on_scheduler(_is_wanted, key=key):
                _LOG.warning("the sweep was interrupted")
                os._exit(ExitCode.INTERRUPTED)


def _is_wanted(key: str, dask_scheduler: Any) -> bool:
    return key in dask_scheduler.tasks


def _can_go_on(folder: Path) -> bool:
    try:
        recorded_request(folder / JOURNAL)
    except (OSError, errors.RunError):
        return False
    return True


def _once_free(run: Callable[[], ExitCode]) -> ExitCode:
    """Run as soon as the folder is free: the process of a lost worker may live for a moment longer."""
    give_up = time.monotonic() + _HELD_SECONDS
    while True:
        try:
            return run()
        except HeldError as error:
            if time.monotonic() > give_up:
                raise
            _LOG.info("%s", error)
            time.sleep(1)


@contextmanager
def _log_into(path: Path) -> Iterator[None]:
    """Write the lines that ``quantize tune`` shows into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("quantize")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
