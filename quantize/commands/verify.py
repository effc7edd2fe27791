"""Verify a model file against the report of its run, optionally by repeating the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from quantize.config.run_config import RunConfig
from quantize.engines.engine import ENGINES
from quantize.errors import ExitCode, QuantizeError, RunError
from quantize.files import scratch_folder
from quantize.gate.result import FAILING, Line, Verdict
from quantize.models.artifact import ModelArtifact
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.progress import Progress, silent
from quantize.quoting import sentence
from quantize.report.metadata import facts, read_facts
from quantize.report.models import ModelSection
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.run.folder import find_run
from quantize.run.repeat import Inputs, repeated_hashes, replay_section

_SHORT = 12


@dataclass(frozen=True, repr=False)
class Verification:
    """One line for each thing that was checked."""

    lines: tuple[Line, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Return 1 where a line fails or something is missing, 3 where one could not be compared, else 0."""
        codes = [ExitCode.NOT_MET for line in self.lines if line.verdict in FAILING]
        codes += [ExitCode.INCONCLUSIVE for line in self.lines if line.verdict == "not comparable"]
        return ExitCode.worst(codes)

    def __repr__(self) -> str:
        """Show how each check ended; ``lines`` has what was found."""
        return "\n".join(["Verification", *(f"  {line.title}: {line.verdict}" for line in self.lines)])


def verify(
    model: Path,
    report: Path | None = None,
    *,
    repeat: bool = True,
    inputs: Inputs = Inputs(),
    bounds: Bounds = Bounds(),
    progress: Progress = silent,
) -> Verification:
    """Check a model file against its run's report, and repeat the run bit for bit.

    Args:
        model: The file.
        report: Its run, or the run's ``report.json``; None: looked for next to the file.
        repeat: Whether the run is repeated too.
        inputs: Where the fp32 model and the images lie now, where that is not as in the report.
        bounds: Of opening the file.
        progress: Called while the run is repeated.

    Raises:
        ModelError: The file is no image classifier that can be read.
        RunError: There is no report, or it is of another schema.
    """
    prove(model, bounds)
    artifact = ModelArtifact.load(model)
    place = find_run(report) / "report.json" if report is not None else report_of(model)
    view, section = _view_of(read_report(place), place, artifact, model)
    lines = [*_file_lines(artifact, section, view)]
    if repeat:
        lines.append(_repeat(view, place, section.role, inputs, progress))
    return Verification(tuple(lines))


def report_of(model: Path) -> Path:
    """Return the report of the run that a model lies in: in its folder, or in ``NAME.run`` next to it.

    A run of both engines keeps the other one's models one folder below its report.

    Raises:
        RunError: There is none, or there are several.
    """
    own = [model.parent / "report.json", model.with_suffix(".run") / "report.json"]
    folder = model.absolute().parent
    above = [folder.parent / "report.json"] if folder.name in ENGINES else []
    candidates = (
        [path for path in own if path.is_file()]
        or sorted(model.parent.glob("*.run/report.json"))
        or [path for path in above if path.is_file()]
    )
    if len(candidates) != 1:
        raise RunError(
            "no report of this model's run" if not candidates else "several runs lie beside this model",
            where=str(model),
            found=", ".join(str(path) for path in candidates) or "no report.json",
            expected="report.json beside the model, or in NAME.run",
            advice="name it with --report",
        )
    return candidates[0]


def _view_of(report: RunReport, place: Path, artifact: ModelArtifact, path: Path) -> tuple[RunReport, ModelSection]:
    """Return a file's section, and the report of the engine that made it."""
    views = [report, *(report.of_engine(engine) for engine in report.engines if not engine.written)]
    said = [(view, section) for view in views for section in view.models]
    if report.input_contract is not None:  # else the fp32 model is no file of the run's own
        said.append((report, report.baseline))
    role = read_facts(artifact.proto()).get("quantize.role")

    def likeness(section: ModelSection) -> tuple[bool, ...]:
        return (
            (place.parent / section.file).resolve() == path.resolve(),
            section.sha256 == artifact.sha256,
            section.graph_sha256 == artifact.graph_sha256,
            Path(section.file).name == path.name or section.role == role,
        )

    best = max(said, key=lambda view_and_section: likeness(view_and_section[1]))
    if not any(likeness(best[1])):
        raise RunError(
            "the report does not mention this model",
            where=str(path),
            found=f"graph {artifact.graph_sha256[:_SHORT]}",
            expected=", ".join(f"{section.file} ({section.graph_sha256[:_SHORT]})" for _, section in said),
            advice="name the report of this model's run with --report",
        )
    return best


def _file_lines(artifact: ModelArtifact, section: ModelSection, report: RunReport) -> Iterator[Line]:
    proto = artifact.proto()
    try:
        onnx.checker.check_model(proto, full_check=True)
        yield _line("valid", "the file is a valid ONNX model", None, "valid", "pass")
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        yield _line("valid", "the file is a valid ONNX model", None, str(error).splitlines()[0], "fail")
    for name, title, expected, actual in (
        ("file", "the file is unchanged since it was written", section.sha256, artifact.sha256),
        ("graph", "the graph is the one that was measured", section.graph_sha256, artifact.graph_sha256),
        (
            "accuracy",
            "the report's accuracy belongs to this graph",
            artifact.graph_sha256,
            section.deciding.evaluation.graph_sha256,
        ),
    ):
        yield _line(name, title, expected[:_SHORT], actual[:_SHORT], "pass" if expected == actual else "fail")
    said, expected_facts = read_facts(proto), facts(report, section.role)
    wrong = sorted(key for key in {*said, *expected_facts} if said.get(key) != expected_facts.get(key))
    title = "the file's metadata match the report"
    if not said:
        yield _line("metadata", title, f"{len(expected_facts)} facts", None, "missing")
    else:
        found_text = "the same" if not wrong else f"others: {', '.join(wrong[:5])}"
        yield _line("metadata", title, f"{len(expected_facts)} facts", found_text, "fail" if wrong else "pass")


def _repeat(report: RunReport, place: Path, role: str, inputs: Inputs, progress: Progress) -> Line:
    title, expected = "repeating the run gives the same graph", report.model(role).graph_sha256[:_SHORT]
    if inputs.config is None:
        inputs = replace(inputs, config=RunConfig.model_validate(report.config))
    try:
        with scratch_folder("verify") as scratch:
            hashes = repeated_hashes(report, inputs, scratch, run=place.parent, progress=progress)
    except QuantizeError as error:
        note = f"it cannot be repeated here: {sentence(str(error))}"
        return _line("repeat", title, expected, None, "not comparable", note)
    outcome = replay_section(place, report, {role: hashes[role]})
    verdicts: dict[str, Verdict] = {"same": "pass", "different": "fail", "not comparable": "not comparable"}
    differences = "; ".join(outcome.differences) or None
    return _line("repeat", title, expected, hashes[role][:_SHORT], verdicts[outcome.outcome], differences)


def _line(
    name: str, title: str, expected: str | None, found: str | None, verdict: Verdict, note: str | None = None
) -> Line:
    return Line(
        name=f"verify.{name}",
        title=title,
        baseline=expected,
        found=found,
        allowed="the same",
        verdict=verdict,
        note=note,
    )
