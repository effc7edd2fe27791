"""What a caller asks of `benchmark`, and what it gets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quantize.config.run_config import RunConfig
from quantize.errors import ExitCode
from quantize.report.benchmark import BenchmarkReport


@dataclass(frozen=True)
class BenchmarkRequest:
    """One benchmark.

    Attributes:
        config: All settings, resolved.
        input_model: The model to measure; None: the models of the newest run under ``runs_dir``.
        baseline_model: The fp32 model that it is compared with, in the same process.
        mode: What to measure.
        output_dir: Where ``benchmark.json`` and ``benchmark.txt`` go; None: nowhere.
        runs_dir: Where runs are looked for.
        precision: Width of the speed-up's interval, relative to it, that ends the measurement.
        profile: Show the time of every operator.
        batch_sizes: Batch sizes to measure throughput at; None: none.
        skip_unreadable: Leave unreadable images out, and list them.
        workers: Processes that decode images; None: one a core.
    """

    config: RunConfig
    input_model: Path | None = None
    baseline_model: Path | None = None
    mode: Literal["accuracy", "performance", "both"] = "both"
    output_dir: Path | None = None
    runs_dir: Path = Path("runs")
    precision: float = 0.02
    profile: bool = False
    batch_sizes: tuple[int, ...] | None = None
    skip_unreadable: bool = False
    workers: int | None = None

    @property
    def asks_accuracy(self) -> bool:
        """Return whether accuracy is to be measured."""
        return self.mode != "performance"

    @property
    def asks_speed(self) -> bool:
        """Return whether speed is to be measured."""
        return self.mode != "accuracy"


@dataclass(frozen=True)
class BenchmarkResult:
    """What a benchmark found.

    Attributes:
        report: Everything.
        text: The same for a terminal.
        exit_code: 0; 1 or 3 where a comparison does not meet, or does not settle, the accuracy criterion.
    """

    report: BenchmarkReport
    text: str
    exit_code: ExitCode
