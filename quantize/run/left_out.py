"""Rewrites that pay on some CPUs only: which of them a run does not try, and what is told of those that it keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.machine.matrix_units import has_matrix_units
from quantize.rewrites import Rewrite, RewriteRecord, select_rewrites
from quantize.run.context import Context


def left_out(context: Context, chosen: Sequence[Rewrite], *, timed: bool) -> dict[str, str]:
    """Return the rewrites that are not tried, by name, and why.

    Args:
        context: The run. What is measured for this is in its journal, so that a run that is resumed elsewhere goes on
            with it; where it has recorded times, those decide.
        chosen: The rewrites that the settings name.
        timed: Whether each is timed alone: what pays on some CPUs only is tried nowhere else.
    """
    names = [one.name for one in chosen if one.only_measured]
    if not timed:
        return dict.fromkeys(names, "it pays on some CPUs only, and a quick run times no rewrite alone")
    names = [one.name for one in chosen if one.for_matrix_units]
    if context.target != this_cpu_class():
        return dict.fromkeys(names, "it pays on some CPUs only, and the files are for others than this one")
    ratios = context.ratios
    if not names or ratios.recorded or ratios.journal.step("matrix units", has_matrix_units, kind=bool):
        return {}
    return dict.fromkeys(names, "onnxruntime takes no units for products of matrices on this CPU")


def notes_of_kept(records: Iterable[RewriteRecord]) -> tuple[str, ...]:
    """Return what a reader should know of files with rewrites that slow them on other CPUs of their class."""
    kept = [record.name for record in records if record.kept]
    return tuple(
        f"The rewrite {one.name} was kept: on this CPU onnxruntime multiplies matrices faster than it convolves (AMX). "
        "On CPUs of the same class that cannot, the files are slower with it than without, with the same answers; "
        "--rewrites with the others' names leaves it out, and so does --target any."
        for one in select_rewrites("all")
        if one.for_matrix_units and one.name in kept
    )
