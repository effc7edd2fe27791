"""The folder of a run: its location, its file names, and what must not be overwritten."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from quantize.errors import RunError
from quantize.similar_names import did_you_mean

JOURNAL = "trials.jsonl"
_OPSET_SUFFIX = re.compile(r"-\d+$")


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run.

    Attributes:
        path: The run's folder.
        int8: The QLinear model.
        qdq: The QDQ model.
        fp32: The fp32 model with the requested input; None if the input stays as it is.
        engines: Engines that write models into a folder of their own here.
    """

    path: Path
    int8: Path
    qdq: Path
    fp32: Path | None = None
    engines: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[Path, ...]:
        """Return every model that is written for the user."""
        return (self.int8, self.qdq) if self.fp32 is None else (self.int8, self.qdq, self.fp32)

    def of_engine(self, engine: str) -> RunFolder:
        """Return the same run with the models in a folder named after an engine."""
        place = self.path / engine
        return replace(self, int8=place / self.int8.name, qdq=place / self.qdq.name)

    @property
    def models_of_engines(self) -> tuple[Path, ...]:
        """Return every model in the engines' own folders."""
        places = [self.of_engine(engine) for engine in self.engines]
        return tuple(path for place in places for path in (place.int8, place.qdq))

    @property
    def work(self) -> Path:
        """Return the folder of what can be made again: crops, scores, the engine's files."""
        return self.path / "work"

    @property
    def report(self) -> Path:
        """Return the report for machines."""
        return self.path / "report.json"

    @property
    def markdown(self) -> Path:
        """Return the report for a pull request."""
        return self.path / "report.md"

    @property
    def html(self) -> Path:
        """Return the report for a person."""
        return self.path / "report.html"

    @property
    def config(self) -> Path:
        """Return the resolved configuration."""
        return self.path / "config.yaml"

    @property
    def latency_table(self) -> Path:
        """Return the latencies that decisions were made by."""
        return self.path / "latency_table.json"

    @property
    def journal(self) -> Path:
        """Return the append-only record of everything that was finished."""
        return self.path / JOURNAL


def plan_run(
    output: Path,
    *,
    stem: str,
    opset: int,
    first_format: str,
    input_contract: str = "as-is",
    engines: tuple[str, ...] = (),
) -> RunFolder:
    """Return where a run and its models go.

    Args:
        output: A folder, or a ``.onnx`` file for the format that the framework names.
        stem: The input model's file name without its suffix.
        opset: The input model's opset; the names carry max(12, opset) for QLinear and max(13, opset) for QDQ.
        first_format: ``qlinear`` or ``qdq``: the format that a ``.onnx`` output names.
        input_contract: What the models shall take; unless ``as-is``, an fp32 model that takes it is written too.
        engines: Engines that write models into a folder of their own.

    Raises:
        RunError: Both formats would get the same name.
    """
    name = _OPSET_SUFFIX.sub("", stem)
    int8_name, qdq_name = f"{name}-{max(12, opset)}-int8.onnx", f"{name}-{max(13, opset)}-qdq.onnx"
    if output.suffix == ".onnx":
        folder = output.with_suffix(".run")
        place = output.parent
        if first_format == "qdq":
            run = RunFolder(folder, int8=_not(place / int8_name, output), qdq=output)
        else:
            run = RunFolder(folder, int8=output, qdq=_not(place / qdq_name, output))
    else:
        place = output
        run = RunFolder(output, int8=output / int8_name, qdq=output / qdq_name)
    if input_contract != "as-is":
        fp32_name = f"{name}-{max(13, opset)}-fp32-{input_contract}.onnx"
        run = replace(run, fp32=_not(place / fp32_name, output))
    return replace(run, engines=engines)


def refuse_to_write_over(run: RunFolder, source: Path, *, overwrite: bool) -> None:
    """Refuse a place where something would be lost: an earlier run, unless it may go, and the input model in any case.

    Args:
        run: Where the run and its models go.
        source: The input model.
        overwrite: Whether an earlier run may be replaced.

    Raises:
        RunError: Something is in the way.
    """
    nearest = next(place for place in (run.path, *run.path.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise RunError(
            "a file is where the run's folder should be",
            where=str(nearest),
            expected="a folder, or nothing yet",
            advice="name another place with --output_model",
        )
    in_the_way = [path for path in (run.report, run.journal, *run.models, *run.models_of_engines) if path.exists()]
    if in_the_way and not overwrite:
        raise RunError(
            "already holds files that this run would write over",
            where=str(run.path),
            found=", ".join(str(path) for path in in_the_way),
            expected="a new folder",
            advice="name another place with --output_model, or pass --overwrite, or continue it with --resume",
        )
    for output in run.models:
        if output.exists() and source.exists() and output.samefile(source):
            raise RunError(
                "the output would replace the input model",
                where=str(output),
                expected="another file or folder",
                advice="name another place with --output_model",
            )


def demonstration_folder(runs: Path) -> Path:
    """Return ``runs/demo``, or the first free one of ``runs/demo-2``, ``runs/demo-3`` and so on."""
    candidate, number = runs / "demo", 1
    while candidate.exists():
        number += 1
        candidate = runs / f"demo-{number}"
    return candidate


def find_run(place: Path) -> Path:
    """Return the run's folder for a folder or its ``report.json``.

    Raises:
        RunError: There is no report.
    """
    folder = place.parent if place.name == "report.json" else place
    if not (folder / "report.json").is_file():
        raise RunError(
            "not a run",
            where=str(place),
            found="no report.json" if folder.is_dir() else "no such folder",
            expected="the folder that --output_model named, or its report.json",
            advice=did_you_mean(folder) or "run `quantize tune` first, or name another folder",
        )
    return folder


def newest_run(runs: Path) -> Path:
    """Return the run under ``runs`` whose report was written last.

    Raises:
        RunError: There is none.
    """
    reports = sorted(runs.glob("*/report.json"), key=lambda path: (path.stat().st_mtime_ns, str(path)))
    if not reports:
        raise RunError(
            "no run to benchmark",
            where=str(runs),
            expected="a folder with a report.json in it",
            advice="run `bash run_tuning.sh` first, or name a model with --input_model",
        )
    return reports[-1].parent


def _not(path: Path, taken: Path) -> Path:
    """Return ``path``, and refuse it if it is the very file that the user named for the other format."""
    if path.name != taken.name:
        return path
    raise RunError(
        "both formats would get the same name",
        where=str(taken),
        expected="a name that is not the other format's",
        advice="name another file with --output_model, or a folder",
    )
