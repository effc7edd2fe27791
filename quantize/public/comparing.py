"""``quantize.compare``: runs side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantize.commands.settings import PathLike
from quantize.errors import RunError
from quantize.public.result import TuneResult
from quantize.public.runs import run_place
from quantize.public.tables import html_table
from quantize.report.comparison import Comparison
from quantize.report.lines import drawn

if TYPE_CHECKING:
    from quantize.public.kinds import RunLike


@dataclass(frozen=True, repr=False)
class RunComparison:
    """Runs side by side, and what changed from each to the next.

    Attributes:
        runs: The runs, in the order in which they were given.
        comparison: Their figures and their differences, as tables of words.
        page: The page that was written; None where none was asked for.
    """

    runs: tuple[TuneResult, ...]
    comparison: Comparison
    page: Path | None

    @property
    def names(self) -> tuple[str, ...]:
        """Return what each run is called here: as much of its path as tells it from the others."""
        return self.comparison.names

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what keeps figures from being compared, a sentence each; empty where nothing does."""
        return self.comparison.notes

    @cached_property
    def figures(self) -> list[dict[str, Any]]:
        """Return a record for each model of each run: ``run``, ``verdict``, and what ``ModelFigures`` has."""
        return [
            {"run": name, "verdict": run.report.verdict.status, **asdict(model)}
            for name, run in zip(self.names, self.runs, strict=True)
            for model in (run.fp32, *run.written)
        ]

    @cached_property
    def changes(self) -> list[dict[str, str]]:
        """Return a record for each difference from a run to the next.

        ``kind`` is ``setting``, ``recipe``, ``version``, ``layer`` or ``image``; ``name`` says which one; ``before`` is
        what it was in the run ``first``, ``after`` what it is in ``second``.
        """
        return [asdict(change) for change in self.comparison.differences]

    def __repr__(self) -> str:
        """Return both tables as text, as the command prints them."""
        tables = (self.comparison.sides, *self.comparison.changes)
        return "\n\n".join([*self.notes, *map(drawn, tables)])

    def _repr_html_(self) -> str:
        """Return the same as tables, for notebooks."""
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        tables = (self.comparison.sides, *self.comparison.changes)
        return notes + "".join(f"<b>{escape(one.title)}</b>{html_table(one.columns, one.rows)}" for one in tables)


def compare(*runs: RunLike, output: PathLike | None = None) -> RunComparison:
    """Set runs side by side: figures, and what changed of settings, recipe, versions, layers and answers.

    Example:
        >>> comparison = quantize.compare("run", "run", output="comparison.html")
        >>> [(figures["run"], figures["role"], figures["top1"]) for figures in comparison.figures][:2]
        [('run (1)', 'fp32', 1.0), ('run (1)', 'int8', 1.0)]
        >>> comparison.changes
        []

    Args:
        runs: Two or more, in their order: folders, their ``report.json``, or what ``tune`` returned.
        output: Where the comparison goes as a page; None: nowhere.

    Raises:
        RunError: There are fewer than two runs, one is not there, or its report is of another schema.
    """
    from quantize.commands.report import compare_runs

    if len(runs) < 2:
        raise RunError("nothing to compare with", found=f"{len(runs)} run(s)", expected="two runs or more")
    page = None if output is None else Path(output)
    comparison = compare_runs([run_place(run) for run in runs], page)
    opened = tuple(run if isinstance(run, TuneResult) else TuneResult.open(run) for run in runs)
    return RunComparison(opened, comparison, page)
