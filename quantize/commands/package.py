"""Package a run's models for publication, and verify published packages."""

from __future__ import annotations

from pathlib import Path

from quantize.errors import ModelError, RunError
from quantize.models.catalog.catalog import CatalogEntry, load_catalog
from quantize.opening.bounds import Bounds
from quantize.packages.build import Licence, build_package, licence_of
from quantize.report.storage import read_report
from quantize.run.folder import find_run
from quantize.run.links import refuse_links_that_leave

_FOLDER = "package"


def package(
    run: Path,
    output: Path | None = None,
    licence_file: Path | None = None,
    *,
    overwrite: bool = False,
    bounds: Bounds = Bounds(),
) -> tuple[Path, ...]:
    """Write a package for each model of a run, and return the files.

    Args:
        run: The run's folder, or its report.
        output: Folder for the packages; None: ``package`` in the run's folder.
        licence_file: Text of the fp32 model's licence; None: what the catalog knows.
        overwrite: Replace packages in the same place.
        bounds: Of opening the run's models.

    Raises:
        RunError: There is no run, its models have changed, packages are in the way, or a link leads out of it.
    """
    run = find_run(run)
    report = read_report(run / "report.json")
    entry = _entry(report.source.catalog)
    title = entry.title if entry is not None and entry.title else Path(report.source.path).stem
    licence: Licence = licence_of(entry.licence if entry is not None else None, licence_file)
    folder = output or run / _FOLDER
    if output is None:
        refuse_links_that_leave(run, [_FOLDER])
    places = [(model, folder / f"{Path(model.file).stem}.tar.gz") for model in report.models]
    in_the_way = [str(place) for _, place in places if place.exists()]
    if in_the_way and not overwrite:
        raise RunError(
            "already exists",
            where=str(folder),
            found=", ".join(in_the_way),
            expected="new files",
            advice="choose another folder with --output, or pass --overwrite",
        )
    for model, place in places:
        build_package(report, model, run / model.file, place, title=title, licence=licence, bounds=bounds)
    return tuple(place for _, place in places)


def _entry(name: str | None) -> CatalogEntry | None:
    if name is None:
        return None
    try:
        return load_catalog().named(name)
    except ModelError:  # an entry of a catalog of the user's own that is not named any more
        return None
