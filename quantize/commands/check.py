"""Check a run against an accepted baseline (lines, exit code, ``check.md``, JUnit), or accept it as the baseline."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from quantize.errors import ConfigError, ModelError
from quantize.files import write_text
from quantize.gate.baseline import Baseline, accepted, read_baseline, write_baseline
from quantize.gate.check import check
from quantize.gate.differences import FileFacts, Files
from quantize.gate.document import ROLES, ReportDocument, read_document
from quantize.gate.drawings import check_markdown, junit
from quantize.gate.result import GateResult, OnInconclusive
from quantize.gate.tolerances import Tolerances, read_tolerances
from quantize.graph.identity import graph_sha256
from quantize.models.reading import read_model
from quantize.opening.blame import blamed
from quantize.opening.bounds import Bounds, open_within
from quantize.processes.watch import Watch
from quantize.report.integer_share import arithmetic_of
from quantize.run.folder import find_run


def check_run(
    run: Path,
    baseline: Path | None = None,
    tolerances: Path | None = None,
    junit_file: Path | None = None,
    on_inconclusive: OnInconclusive | None = None,
    *,
    write: bool = True,
    require: tuple[str, ...] = (),
    limits_only: bool = False,
    bounds: Bounds = Bounds(),
) -> GateResult:
    """Check a run, and write ``check.md`` next to its report.

    Args:
        run: The run's folder, or its ``report.json``.
        baseline: The accepted baseline; None if the tolerances compare with none, or ``limits_only``.
        tolerances: A YAML file; None: those of ``configs/tolerances.yaml``.
        junit_file: Where JUnit XML goes; None: nowhere.
        on_inconclusive: What to make of inconclusive lines; None: they have an exit code of their own.
        write: Whether ``check.md`` is written.
        require: Figures that have to be compared, by name.
        limits_only: Leave out what the tolerances say of a baseline.
        bounds: Of opening the run's models.

    Raises:
        ConfigError: The tolerances are wrong, or need a baseline and there is none.
        RunError: There is no such run or baseline, or it cannot be read.
    """
    folder = find_run(run)
    document = read_document(folder / "report.json")
    limits = read_tolerances(tolerances) if tolerances is not None else default_tolerances()
    if baseline is None and not limits_only and limits.against_baseline:
        raise ConfigError(
            "these tolerances need a baseline, and none was given",
            where="--baseline",
            expected="a file that `quantize baseline accept` wrote, or `none`: limits against fp32 alone",
            advice="accept a run first, or pass --baseline none",
        )
    result = check(
        document,
        read_baseline(baseline) if baseline is not None else None,
        limits,
        files_of(document, folder, bounds),
        run=str(run),
        on_inconclusive=on_inconclusive,
        require=require,
    )
    if write:
        write_text(folder / "check.md", check_markdown(result))
    if junit_file is not None:
        write_text(junit_file, junit(result))
    return result


def default_tolerances() -> Tolerances:
    """Return the tolerances that apply if no file is named."""
    with resources.as_file(resources.files("quantize.gate").joinpath("default_tolerances.yaml")) as path:
        return read_tolerances(path)


def files_of(document: ReportDocument, folder: Path, bounds: Bounds = Bounds()) -> Files:
    """Return the model files that a report names, as they lie in its folder; each is opened within the bounds."""
    return {role: _facts(document.model(role).text("file"), folder, bounds) for role in ROLES}


def _facts(name: str | None, folder: Path, bounds: Bounds) -> FileFacts | None:
    if name is None or "\0" in name or not (folder / name).is_file():
        return None
    path = folder / name
    try:
        found = open_within(bounds, identified, (str(path), bounds), path)
    except ModelError:
        return FileFacts(graph_sha256=None, integer_share=None)
    return FileFacts(**found)


def identified(place: tuple[str, Bounds], watch: Watch) -> dict[str, Any]:
    """Return a model's graph hash and its share of int8 arithmetic; called in a child.

    Raises:
        ModelError: The file is no ONNX model, or damaged.
    """
    path, bounds = Path(place[0]), place[1]
    model = read_model(path, before_data=lambda size: watch.allow(bounds.memory_for(size)))
    with blamed(path):
        return {"graph_sha256": graph_sha256(model), "integer_share": arithmetic_of(model).share}


def accept_run(run: Path, output: Path) -> Baseline:
    """Write a run as a baseline, over an earlier one: it is under version control, and its diff is reviewed.

    Args:
        run: The run's folder, or its ``report.json``.
        output: The baseline's file.

    Raises:
        RunError: There is no such run, or its report is not whole.
    """
    report = find_run(run) / "report.json"
    baseline = accepted(read_document(report), where=str(report))
    write_baseline(baseline, output)
    return baseline
