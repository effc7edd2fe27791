"""The plan of a measurement: which models, how often, how precisely, for how long."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from quantize.measurement.timing.blocks import Contestant
from quantize.models.session import Optimization
from quantize.provenance import sha256_file

# Fewer rounds give no 95 % interval for a median: with 5, the two outermost values enclose it in 93.75 % of cases.
MINIMUM_ROUNDS = 6
LONGEST_BLOCK = 20


class Plan(BaseModel):
    """A paired latency measurement of one or more models in one process.

    Attributes:
        models: Name and file of each model, in the order of the report.
        baseline: Name of the model that all others are compared with; None to measure without comparing.
        control: Measure the baseline a second time, in sessions of its own: the A/A control.
        threads: Intra-op threads of every session.
        batch_size: Images per run; the inputs' own where a measurement is made.
        warmup: Runs of each newly opened session before its first block (fewer where they take over 0.5 s, or too much
            of ``max_seconds``).
        switch_warmup: Runs before the timed ones each time another model takes over (caches, frequency).
        block_length: Timed runs per block; None lets ``iteration`` decide.
        iteration: Timed runs of each model before the measurement may stop; without ``until_precise`` it stops there.
        precision: The measurement may stop once the speed-up's interval is this narrow, relative to the speed-up.
        until_precise: Whether it goes on after ``iteration`` runs until it is precise. If not, precision may only end
            it before, once there are runs for p99.
        confidence: Confidence of every interval.
        max_seconds: The measurement stops after this time, precise or not.
        patience: How many times as long it may take until there are rounds enough for an interval, where slow models
            leave too little time for them.
        seed: Decides the order of the blocks and the bootstrap's resamples.
        spinning: Whether waiting threads spin; None leaves onnxruntime's default. The same for all models.
        optimization: Graph optimization of every session; fp32 gets its best settings too.
        asked_threads: Requested threads, if the machine has fewer; else None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, Path] = Field(min_length=1)
    baseline: str | None = None
    control: bool = True
    threads: int = Field(default=1, ge=1)
    batch_size: int = Field(default=1, ge=1)
    warmup: int = Field(default=10, ge=0)
    switch_warmup: int = Field(default=4, ge=0)
    block_length: int | None = Field(default=None, ge=1)
    iteration: int = Field(default=1000, ge=1)
    precision: float = Field(default=0.02, gt=0)
    until_precise: bool = True
    confidence: float = Field(default=0.95, gt=0, lt=1)
    max_seconds: float = Field(default=120.0, gt=0)
    patience: float = Field(default=1.0, ge=1)
    seed: int = 0
    spinning: bool | None = None
    optimization: Optimization = "all"
    asked_threads: int | None = None

    @model_validator(mode="after")
    def _baseline_is_a_model(self) -> Plan:
        if self.baseline is not None and self.baseline not in self.models:
            raise ValueError(f"the baseline {self.baseline!r} is none of the models {sorted(self.models)}")
        return self

    @property
    def longest_block(self) -> int:
        """Return the timed runs per block of fast models: few enough for an interval within ``iteration`` runs."""
        if self.block_length is not None:
            return self.block_length
        if not self.until_precise:
            return max(1, min(LONGEST_BLOCK, self.iteration // (2 * MINIMUM_ROUNDS)))
        return max(5, min(LONGEST_BLOCK, math.ceil(self.iteration / (2 * MINIMUM_ROUNDS))))

    def seconds_at(self, rounds: int) -> float:
        """Return when the measurement stops if so many rounds are complete."""
        return self.max_seconds * (self.patience if rounds < MINIMUM_ROUNDS else 1.0)

    @property
    def control_name(self) -> str | None:
        """Return the name of the A/A control, or None."""
        return f"{self.baseline} again" if self.control and self.baseline is not None else None

    def contestants(self) -> tuple[Contestant, ...]:
        """Return the baseline, its A/A control and the other models, with the hashes of their files."""
        contestants = []
        for name, path in self.models.items():
            sha256, size = sha256_file(path), path.stat().st_size
            role: Literal["baseline", "candidate", "alone"] = "candidate"
            if self.baseline is None:
                role = "alone"
            elif name == self.baseline:
                role = "baseline"
            contestants.append(Contestant(name=name, role=role, sha256=sha256, bytes=size))
            if role == "baseline" and self.control_name is not None:
                contestants.append(Contestant(name=self.control_name, role="control", sha256=sha256, bytes=size))
        return tuple(contestants)
