"""A sweep, from its settings to its report."""

from __future__ import annotations

import glob
import logging
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from quantize.bounded_reading import LARGEST_TEXT, read_bounded
from quantize.errors import ExitCode
from quantize.files import write_text
from quantize.lock import run_lock
from quantize.progress import Progress, silent
from quantize.provenance import git_state
from quantize.report.benchmark import BenchmarkReport
from quantize.report.provenance import Tool
from quantize.report.storage import read_report
from quantize.run.folder import JOURNAL
from quantize.run.verdict import exit_code
from quantize.sweep.cluster import connected
from quantize.sweep.config import SweepConfig
from quantize.sweep.dispatch import Dispatch, Job
from quantize.sweep.drawings import sweep_html, sweep_markdown
from quantize.sweep.earlier import earlier_of, identity
from quantize.sweep.marking import marked
from quantize.sweep.marks import WorkerFacts
from quantize.sweep.matrix import Entry, entries_of
from quantize.sweep.report import (
    SweepReport,
    SweepRun,
    SweepSpeed,
    SweepTimes,
    SweepWorker,
    models_of,
    relative,
    seconds_of,
    speed_of,
    worst,
)
from quantize.sweep.tuning import MeasureTask, Outcome, TuneTask, measure_on_worker, tune_on_worker
from quantize.target import CpuClass

_LOG = logging.getLogger("quantize")

_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class SweepRequest:
    """One sweep.

    Attributes:
        config: Its settings.
        overwrite: Replace runs of other settings in the same place, and those that are finished.
        command: The command line, for the reports.
    """

    config: SweepConfig
    overwrite: bool = False
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepResult:
    """What a sweep left.

    Attributes:
        folder: Its folder.
        report: Everything that was found.
    """

    folder: Path
    report: SweepReport

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of the worst run."""
        return ExitCode(self.report.exit_code)


@dataclass
class _State:
    """What is known of the runs so far."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    workers: tuple[WorkerFacts, ...] = ()


def sweep(request: SweepRequest, *, progress: Progress = silent) -> SweepResult:
    """Tune every model of a matrix, and report on all of them; runs that are finished are not done again.

    A run that fails, or whose process or worker dies, fails alone.

    Args:
        request: What to do.
        progress: Receives how many runs are done.

    Raises:
        QuantizeError: Something that the user can fix, before any run began; or the scheduler is lost.
    """
    config, output = request.config, request.config.output.absolute()
    entries = entries_of(config)
    with run_lock(output / "work") as still_held:
        tasks = _tasks(request, entries)
        state = _State()
        finished = [entry.name for entry in entries if entry.name not in tasks]
        if finished:
            _LOG.info("finished already, and not done again: %s", ", ".join(finished))
        if tasks or config.scheduler is not None:
            paths = _paths([entry for entry in entries if entry.name in tasks])
            with connected(config) as client, marked(client, config, paths) as workers:
                state.workers = workers
                _LOG.info("%s", _workers_in_words(workers))
                dispatch = Dispatch(client, config.wait)
                dispatch.run(_tune_jobs(entries, tasks, workers), lambda *done: _told(state, *done), progress)
                measure = _measure_jobs(entries, workers, output, again=frozenset(tasks))
                dispatch.run(measure, lambda *done: _told(_State(), *done), progress)
        report = _report(request, entries, state, output)
        still_held()
        write_text(output / "sweep.md", sweep_markdown(report))
        write_text(output / "sweep.html", sweep_html(report))
        write_text(output / "sweep.json", report.model_dump_json(indent=1) + "\n")
    return SweepResult(output, report)


def _tasks(request: SweepRequest, entries: Sequence[Entry]) -> Mapping[str, TuneTask]:
    """Return what is to be tuned, by name."""
    config, name = request.config, uuid.uuid4().hex
    earlier = {entry.name: earlier_of(entry, overwrite=request.overwrite) for entry in entries}
    return {
        entry.name: TuneTask(
            sweep=name,
            entry=entry,
            earlier=earlier[entry.name],
            journal=identity(entry.folder / JOURNAL),
            shard=config.shard,
            patience=config.wait,
            command=request.command,
        )
        for entry in entries
        if earlier[entry.name] != "finished"
    }


def _paths(entries: Sequence[Entry]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path for entry in entries for path in entry.paths))


def _home(workers: Sequence[WorkerFacts]) -> CpuClass:
    """Return the class of CPUs that ``auto`` stands for: that of most workers that measure latency."""
    classes = Counter(worker.cpu_class for worker in workers if worker.benchmark and not worker.missing)
    return min(classes, key=lambda name: (-classes[name], name))


def _tune_jobs(
    entries: Sequence[Entry], tasks: Mapping[str, TuneTask], workers: Sequence[WorkerFacts]
) -> Sequence[Job]:
    home = _home(workers)
    return [
        Job(entry.name, tune_on_worker, tasks[entry.name], home if target in ("auto", "any") else target)
        for entry in entries
        if entry.name in tasks
        for target in [entry.config.quantization.target]
    ]


def _measure_jobs(
    entries: Sequence[Entry], workers: Sequence[WorkerFacts], output: Path, *, again: frozenset[str]
) -> Sequence[Job]:
    """Return a job for every finished run on each class of CPUs that it was not measured on."""
    classes = sorted({worker.cpu_class for worker in workers if worker.benchmark and not worker.missing})
    jobs = []
    for entry in entries:
        report = entry.folder / "report.json"
        if not report.is_file():
            continue
        own = read_report(report).provenance.cpu_class
        for name in classes:
            file = _latency(output, entry, name)
            if entry.name in again:
                file.unlink(missing_ok=True)
            if name != own and _measured(file) is None:
                task = MeasureTask(entry, file)
                jobs.append(Job(f"{entry.name} on {name}", measure_on_worker, task, name, elsewhere=False))
    return jobs


def _latency(output: Path, entry: Entry, cpu_class: CpuClass) -> Path:
    return output / "latency" / f"{entry.name}.{cpu_class}.json"


def _measured(file: Path) -> BenchmarkReport | None:
    """Return what a run was measured to be on another class of CPUs; None: not yet, or what is there is damaged."""
    try:
        return BenchmarkReport.model_validate_json(read_bounded(file, LARGEST_TEXT, regular=True))
    except (OSError, ValueError):
        return None


def _told(state: _State, name: str, outcome: Outcome) -> None:
    state.outcomes[name] = outcome
    if outcome.error is not None:
        _LOG.warning("%s failed: %s", name, outcome.error)
    else:
        _LOG.info("%s: done on worker %s in %.0f s", name, outcome.worker, outcome.seconds)


def _workers_in_words(workers: Sequence[WorkerFacts]) -> str:
    classes = Counter(worker.cpu_class for worker in workers if worker.benchmark and not worker.missing)
    others = sum(not worker.benchmark and not worker.missing for worker in workers)
    tuning = ", ".join(f"{count} of class {name}" for name, count in sorted(classes.items()))
    return f"workers that tune and measure: {tuning}; that evaluate: {others}"


def _report(request: SweepRequest, entries: Sequence[Entry], state: _State, output: Path) -> SweepReport:
    runs = tuple(_run(entry, state.outcomes.get(entry.name), output) for entry in entries)
    git = git_state(_PACKAGE)
    return SweepReport(
        exit_code=int(worst(runs)),
        runs=runs,
        classes=tuple(sorted({speed.cpu_class for run in runs for speed in run.times.speed})),
        workers=tuple(
            SweepWorker(
                name=worker.name,
                cpu_class=worker.cpu_class,
                claimed=worker.claimed,
                cores=worker.cores,
                benchmark=worker.benchmark,
                missing=worker.missing,
            )
            for worker in state.workers
        ),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=request.command,
        tool=Tool(
            version=metadata.version("quantize"),
            git_commit=git[0] if git else None,
            git_dirty=git[1] if git else None,
        ),
    )


def _run(entry: Entry, outcome: Outcome | None, output: Path) -> SweepRun:
    failed = outcome is not None and outcome.error is not None
    report = None if failed else read_report(entry.folder / "report.json")
    code = ExitCode.DONE if report is None else exit_code(report.verdict, report.replay)
    speed: list[SweepSpeed] = []
    if report is not None:
        measured_on = report.provenance.cpu_class
        if report.measurement is not None and measured_on is not None:
            speed += speed_of(report.measurement, report.chosen.target, measured_on)
        for file in sorted((output / "latency").glob(f"{glob.escape(entry.name)}.*.json")):
            other = _measured(file)
            if other is not None and other.latency is not None and other.cpu_class not in (None, measured_on):
                speed += speed_of(other.latency, report.chosen.target, other.cpu_class)
    return SweepRun(
        name=entry.name,
        model=str(entry.model),
        settings=None if entry.settings is None else str(entry.settings),
        engine=entry.config.tuning.engine,
        target=None if report is None else report.chosen.target,
        run=relative(entry.folder, output),
        exit_code=int(code if outcome is None or report is not None else outcome.exit_code),
        status=None if report is None else report.verdict.status,
        headline=None if report is None else report.verdict.headline,
        error=None if outcome is None else outcome.error,
        facts=None if outcome is None else outcome.facts,
        models=() if report is None else models_of(report),
        times=SweepTimes(
            seconds=None if report is None else seconds_of(report),
            worker=None if outcome is None else outcome.worker,
            speed=tuple(speed),
        ),
    )
