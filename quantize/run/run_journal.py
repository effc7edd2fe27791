"""Opening a run's journal: the moment from which an earlier run in the same place is replaced, or continued."""

from __future__ import annotations

from pathlib import Path

from quantize.engines.engine import ENGINES, engine_named
from quantize.engines.native.search.journal import Journal
from quantize.errors import RunError
from quantize.files import remove_if_empty, write_text
from quantize.provenance import fingerprint, sha256_file
from quantize.report.storage import read_report
from quantize.run.context import Context
from quantize.run.folder import RunFolder
from quantize.run.request_file import write_request


def open_journal(context: Context) -> Journal:
    """Open the journal and take away what an earlier run left, now that this one will replace or continue it.

    Raises:
        RunError: The journal of the run that is resumed is of another configuration, or damaged.
    """
    folder, request, images = context.folder, context.asked.request, context.images
    outputs = (
        folder.report,  # first: a folder with a report is a whole run
        folder.path / "flips.csv",
        folder.markdown,
        folder.html,
        *folder.models,
        *folder.models_of_engines,
    )
    resume = request.resume is not None
    if not resume:
        earlier = [path for path in _models_of_an_earlier_run(folder) if not path.samefile(context.asked.model)]
        journals = [engine_named(name).journal for name in ENGINES]
        _remove(*outputs, *earlier, folder.journal, *(folder.work / name for name in journals if name is not None))
        for place in {path.parent for path in earlier} - {folder.path}:
            remove_if_empty(place)  # an engine's own folder
    configuration = {
        "settings": fingerprint(context.config.model_dump(mode="json", exclude={"notes"})),
        "criterion": request.criterion,
        "model": context.model.graph_sha256,
        "data": images.crops.fingerprint,
        "preprocessing": images.preprocessing.fingerprint,
        "latencies": "measured" if request.latency_table is None else "recorded",
    }
    journal = Journal(folder.journal, configuration, resume=resume)
    # A resumed run is changed only after its journal was found to be of these settings.
    _remove(*outputs)
    write_text(folder.config, context.config.to_yaml())
    write_request(context.asked, folder.work)
    return journal


def _models_of_an_earlier_run(folder: RunFolder) -> list[Path]:
    """Return the models that the run in this folder wrote, whatever their names, as long as nobody has changed them."""
    try:
        report = read_report(folder.report)
    except RunError:  # no report, or none that can be read: nothing says which files are that run's
        return []
    written = [*report.models, *(model for engine in report.engines if not engine.written for model in engine.models)]
    if report.input_contract is not None:
        written.append(report.baseline)
    paths = [(folder.path / model.file, model.sha256) for model in written]
    return [path for path, sha256 in paths if path.is_file() and sha256_file(path) == sha256]


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
