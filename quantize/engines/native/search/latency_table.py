"""Measured times in a file, from which a search can be repeated without measuring."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from quantize.bounded_reading import LARGEST_TEXT, read_bounded
from quantize.engines.native.search.latency_model import ProfiledTimes
from quantize.errors import RunError
from quantize.files import write_text


class PairedLatency(BaseModel):
    """Median times of a baseline (mostly fp32) and of a candidate, in nanoseconds, measured in alternation.

    Attributes:
        baseline_ns: The baseline's.
        candidate_ns: The candidate's.
        low: Lower end of the speed-up's 95 % interval; None if there were too few rounds for one.
        high: Its upper end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    baseline_ns: float
    candidate_ns: float
    low: float | None = None
    high: float | None = None

    @property
    def ratio(self) -> float:
        """Return the baseline's time over the candidate's: above 1 is faster."""
        return self.baseline_ns / self.candidate_ns

    def times(self, other: PairedLatency) -> PairedLatency:
        """Return this candidate's time with that of another one that was measured in alternation with it.

        Args:
            other: The other candidate, with this one as its baseline.
        """
        return PairedLatency(
            baseline_ns=self.baseline_ns,
            candidate_ns=self.candidate_ns / other.ratio,
            low=None if self.low is None or other.low is None else self.low * other.low,
            high=None if self.high is None or other.high is None else self.high * other.high,
        )


class LatencyTable(BaseModel):
    """All times that a search used.

    Attributes:
        model: ``graph_sha256`` of the fp32 model.
        profiles: By recipe id: profile of the fp32 model and of that recipe's candidate.
        measured: By the candidate's ``graph_sha256``: paired times.
        graphs: By recipe id: the ``graph_sha256`` that its candidate had. On another CPU the same recipe gives a graph
            whose weights and scales differ in their last bits; its times are those of this one.
        noise_floor: Largest relative difference that fp32 showed from itself, a fraction; None: not measured.
        rewrites: By the graphs' hashes before and after: low, ratio and high of a rewrite's paired speed ratio.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    profiles: dict[str, ProfiledTimes] = {}
    measured: dict[str, PairedLatency] = {}
    graphs: dict[str, str] = {}
    noise_floor: float | None = None
    rewrites: dict[str, tuple[float, float, float]] = {}

    def latency(self, graph: str, recipe: str | None) -> PairedLatency | None:
        """Return a candidate's times by its graph, else by the id of its recipe; None if unknown."""
        return self.measured.get(graph) or self.measured.get(self.graphs.get(recipe or "", ""))

    @classmethod
    def load(cls, path: Path, model: str) -> LatencyTable:
        """Return the table in a file.

        Raises:
            RunError: If the file is missing, no such table, or of another model.
        """
        try:
            table = cls.model_validate_json(read_bounded(path, LARGEST_TEXT))
        except OSError as error:
            raise RunError("the latency table cannot be read", where=str(path), found=str(error)) from error
        except ValidationError as error:
            raise RunError("this is no latency table", where=str(path), found=str(error)) from error
        if table.model != model:
            raise RunError(
                "the latency table is of another model",
                where=str(path),
                found=table.model[:12],
                expected=model[:12],
                advice="use the table that a run on this model wrote",
            )
        return table

    def save(self, path: Path) -> None:
        """Write the table to a file in one step."""
        write_text(path, json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")
