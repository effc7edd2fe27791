"""The request of a caller of ``tune``, the resolved request of the run, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quantize.config.run_config import RunConfig
from quantize.errors import ExitCode
from quantize.report.schema import RunReport


@dataclass(frozen=True)
class TuneRequest:
    """One tuning.

    Attributes:
        config: All settings, resolved.
        input_model: The fp32 model; None: the demonstration.
        data_path: Images, instead of the configuration's; None: those.
        label_path: Label file, instead of the configuration's; None: that, class folders, or no labels.
        output_model: A folder, or a ``.onnx`` file; None: a folder of the model's name under ``runs_dir``.
        runs_dir: Where runs go that were not given a place.
        overwrite: Replace an earlier run in the same place.
        resume: Continue the run in this folder.
        replay: Build the recipe of this report again, without a search.
        latency_table: Latencies recorded by an earlier run, used instead of measuring (engine ``native``).
        skip_unreadable: Leave unreadable images out, and list them.
        remove_crops: Remove the decoded images at the end; else a later run in the same place reuses them.
        criterion: ``none`` skips the baseline check and the verdict, for graphs whose scores mean nothing.
        workers: Processes that decode images; None: one a core.
        pair_seconds: Longest time that two models are measured against each other to decide between them; None: as
            long as each decision is given.
        command: The command line, for the report.
        begun: The command line that began the run, where it is resumed.
    """

    config: RunConfig
    input_model: Path | None = None
    data_path: Path | None = None
    label_path: Path | None = None
    output_model: Path | None = None
    runs_dir: Path = Path("runs")
    overwrite: bool = False
    resume: Path | None = None
    replay: Path | None = None
    latency_table: Path | None = None
    skip_unreadable: bool = False
    remove_crops: bool = False
    criterion: Literal["accuracy", "none"] = "accuracy"
    workers: int | None = None
    pair_seconds: float | None = None
    command: tuple[str, ...] = ()
    begun: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunRequest:
    """What a run does: every path and setting decided, wherever it came from.

    Attributes:
        config: All settings; the target is a class of CPUs.
        model: The fp32 model's file.
        data: The images.
        labels: Their labels, or None.
        calibration_list: Names of the calibration images, or None: drawn.
        output: The folder or ``.onnx`` file that the run writes.
        demonstration: Whether the images are the packaged photographs.
        overwrite: Replace an earlier run in the same place.
        resume: Go on with the run that was begun in the same place.
        replay: Where the report lies whose recipe is built again; None: search.
        recorded: That report.
        latency_table: Latencies recorded by an earlier run, used instead of measuring.
        skip_unreadable: Leave unreadable images out, and list them.
        remove_crops: Remove the decoded images at the end.
        criterion: ``none``: there is neither a baseline check nor a verdict.
        workers: Processes that decode images; None: one a core.
        pair_seconds: Longest time that two models are measured against each other; None: as each decision is given.
        command: The command line, for the report.
        begun: The command line that began the run, where it is resumed.
    """

    config: RunConfig
    model: Path
    data: Path
    labels: Path | None
    calibration_list: Path | None
    output: Path
    demonstration: bool = False
    overwrite: bool = False
    resume: bool = False
    replay: Path | None = None
    recorded: RunReport | None = None
    latency_table: Path | None = None
    skip_unreadable: bool = False
    remove_crops: bool = False
    criterion: Literal["accuracy", "none"] = "accuracy"
    workers: int | None = None
    pair_seconds: float | None = None
    command: tuple[str, ...] = ()
    begun: tuple[str, ...] = ()

    @property
    def judges_accuracy(self) -> bool:
        """Return whether the models' accuracy is judged."""
        return self.criterion == "accuracy"


@dataclass(frozen=True)
class TuneResult:
    """What a tuning left.

    Attributes:
        run: The run's folder.
        report: Everything that was found.
        exit_code: 0 met, 1 not met, 3 inconclusive, if certainty was requested.
    """

    run: Path
    report: RunReport
    exit_code: ExitCode
