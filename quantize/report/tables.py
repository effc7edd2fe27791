"""All tables of a report in reading order: Markdown and HTML render all of them, the terminal some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quantize.report.accuracy_tables import accuracy_table, confusion_table, drop_table, flips_table
from quantize.report.all_cores_words import all_cores_table
from quantize.report.lost_time import lost_time_table
from quantize.report.schema import RunReport
from quantize.report.search_tables import (
    engines_table,
    placement_table,
    prediction_table,
    rewrites_table,
    search_stages_table,
    stages_table,
    trials_table,
)
from quantize.report.speed_tables import doubts_table, machine_table, resources_table, speed_table
from quantize.report.table import Table


@dataclass(frozen=True)
class ReportTables:
    """A report's tables; a table without anything to show is left out.

    Attributes:
        accuracy: How accurate the models are.
        speed: How fast and large they are, and what to make of the figures.
        flips: The images that int8 answers differently; None if nothing was compared.
        confusions: The classes that are taken for each other; None where none are, or nobody counted.
        search: How the models were found.
    """

    accuracy: tuple[Table, ...]
    speed: tuple[Table, ...]
    flips: Table | None
    confusions: Table | None
    search: tuple[Table, ...]

    def __iter__(self) -> Iterator[Table]:
        """Yield all tables in order."""
        yield from (*self.accuracy, *self.speed, *_present(self.flips, self.confusions), *self.search)


def report_tables(report: RunReport) -> ReportTables:
    """Return every table that a report has."""
    return ReportTables(
        accuracy=_present(accuracy_table(report), drop_table(report)),
        speed=_present(
            speed_table(report),
            all_cores_table(report.all_cores),
            lost_time_table(report.profile),
            machine_table(report.machine),
            engines_table(report),
            doubts_table(report),
            resources_table(report),
        ),
        flips=flips_table(report),
        confusions=confusion_table(report),
        search=_present(
            trials_table(report),
            placement_table(report),
            prediction_table(report),
            search_stages_table(report),
            rewrites_table(report),
            stages_table(report),
        ),
    )


def _present(*tables: Table | None) -> tuple[Table, ...]:
    return tuple(table for table in tables if table is not None)
