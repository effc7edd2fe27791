"""All nine models of the zoo's SqueezeNet page in one table.

    python benchmarks/zoo.py --data_path IMAGES --label_path LABELS.txt --folder FOLDER [--engine inc] [--iteration 100]

The six fp32 models of SqueezeNet 1.0 are rebuilt, evaluated and tuned, each from its own opset's file: their int8
models must give the same scores as the one of opset 12 (exit code 1 where they do not). The other three cannot be
rebuilt: a server on this machine gives bytes that stand in for them, which shows that they are fetched and proven by
their hash, and nothing else. The table is printed, and written to FOLDER/zoo.md.

Rewrites that move scores are kept or not by how fast they are, which may fall otherwise in another run; so only exact
ones are tried here, unless --rewrites says otherwise.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import quantize
from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.evaluation.inference import scores_of
from quantize.measurement.timing.measurement import speedups
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import Catalog, CatalogEntry, load_catalog
from quantize.models.download.fetch import fetch
from quantize.models.session import open_session
from quantize.public.result import TuneResult
from quantize.report.wording import percent, times
from quantize.rewrites import REWRITES

_COLUMNS = (
    "model",
    "opset",
    "source",
    "published",
    "top-1",
    "top-5",
    "int8 top-1",
    "int8 top-5",
    "agreement",
    "speed-up",
    "MB",
    "scores against opset 12's",
)


@dataclass(frozen=True)
class Tuned:
    """One fp32 model after its tuning: the row's entry, the run, and the int8 model's scores (N, 1000)."""

    entry: CatalogEntry
    source: str
    result: TuneResult
    scores: NDArray[np.float32]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Write no line a request."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine alone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def tuned(entry: CatalogEntry, given: argparse.Namespace) -> Tuned:
    """Rebuild a model, tune it, and run its int8 model on all images."""
    folder: Path = given.folder
    model = fetch(entry.name, folder / entry.file, source="rebuilt")
    result = quantize.tune(
        model.path,
        data_path=given.data_path,
        label_path=given.label_path,
        output_model=folder / entry.name,
        overwrite=True,
        engine=given.engine,
        rewrites=given.rewrites,
        iteration=given.iteration,
    )
    chosen = entry.chosen_preprocessing()
    assert chosen is not None
    int8 = ModelArtifact.load(result.run / result.report.model("int8").file)
    size = int8.contract.image_size
    assert size is not None
    preprocessing = chosen.for_input_size(*size)
    images = open_images(given.data_path, given.label_path, classes=int8.contract.classes)
    crops = crop_images(images, preprocessing, folder / "crops")
    session = open_session(int8.path, threads=given.threads)
    scores = [scores_of(session, int8.contract, batch.images) for batch in Batches(crops, preprocessing, 20)]
    return Tuned(entry, model.source, result, np.concatenate(scores))


def tuned_row(model: Tuned, reference: Tuned) -> tuple[str, ...]:
    """Return the table's row of a model that was tuned."""
    report = model.result.report
    fp32, int8 = report.baseline.selection.evaluation, report.model("int8").selection.evaluation
    assert fp32.top1 is not None
    assert fp32.top5 is not None
    assert int8.top1 is not None
    assert int8.top5 is not None
    gains = {} if report.measurement is None else {gain.candidate: gain for gain in speedups(report.measurement)}
    difference = float(np.abs(model.scores - reference.scores).max())
    digest = sha256(model.scores.tobytes()).hexdigest()[:8]
    return (
        model.entry.name,
        str(model.entry.opset),
        model.source,
        _published(model.entry),
        percent(fp32.top1.expected),
        percent(fp32.top5.expected),
        percent(int8.top1.expected),
        percent(int8.top5.expected),
        percent(int8.fidelity.agreement if int8.fidelity else None),
        times(gains["int8"].ratio) if "int8" in gains else "–",
        f"{report.baseline.bytes / 1e6:.2f} to {report.model('int8').bytes / 1e6:.2f}",
        f"{'equal' if difference == 0 else f'differ by {difference:.2g}'} (sha256 {digest})",
    )


def stand_in_row(entry: CatalogEntry, folder: Path) -> tuple[str, ...]:
    """Fetch bytes that stand in for a published file, and return the table's row of it."""
    (folder / "mirror").mkdir(exist_ok=True)
    stand_in = f"stands in for {entry.file}\n".encode() * 1000
    (folder / "mirror" / entry.file).write_bytes(stand_in)
    with served(folder / "mirror") as address:
        known = {
            "sha256": sha256(stand_in).hexdigest(),
            "bytes": len(stand_in),
            "addresses": (f"{address}/{entry.file}",),
        }
        catalog = Catalog({entry.name: entry.model_copy(update=known)})
        model = fetch(entry.name, folder / entry.file, source="zoo", catalog=catalog, cache=folder / "cache")
    assert model.path.read_bytes() == stand_in
    return (
        entry.name,
        str(entry.opset),
        "stand-in, fetched",
        _published(entry),
        "not evaluated",
        *["–"] * (len(_COLUMNS) - 5),
    )


def _published(entry: CatalogEntry) -> str:
    figures = entry.published
    return "–" if figures is None else f"{percent(figures.top1)} / {percent(figures.top5)}"


def main() -> int:
    """Fetch, tune, compare; print and write the table."""
    exact = ",".join(rewrite.name for rewrite in REWRITES if rewrite.declares.kind == "exact")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--label_path", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="where models and runs are written")
    parser.add_argument("--engine", default="inc", choices=("inc", "native"))
    parser.add_argument("--iteration", type=int, default=100, help="timed inferences of each model")
    parser.add_argument("--rewrites", default=exact, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    entries = [entry for entry in load_catalog() if entry.name.startswith("squeezenet")]
    done = {entry.name: tuned(entry, given) for entry in entries if entry.rebuilt_by is not None}
    reference = done["squeezenet1.0-12"]
    rows = [
        tuned_row(done[entry.name], reference) if entry.name in done else stand_in_row(entry, given.folder)
        for entry in entries
    ]
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    text = "\n".join(lines) + "\n"
    print(text)
    (given.folder / "zoo.md").write_text(text)
    same = all(np.array_equal(model.scores, reference.scores) for model in done.values())
    print("all int8 models give the same scores" if same else "int8 models give different scores")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
