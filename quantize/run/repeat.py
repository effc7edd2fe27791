"""Rebuild the models of a recorded run in a separate folder, without measuring or judging."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quantize.cache_folder import user_cache
from quantize.config.run_config import RunConfig
from quantize.criterion import Criterion
from quantize.data.demonstration import demonstration_data
from quantize.engines.engine import engine_named
from quantize.engines.trial import Trial
from quantize.journal import Journal
from quantize.measurement.machine.cpu import isa_flags
from quantize.progress import Progress
from quantize.provenance import git_state, versions
from quantize.report.provenance import Provenance, ReplaySection, Tool
from quantize.report.schema import RunReport
from quantize.run.build import remember_decisions, write_files
from quantize.run.context import Ratios, Stages
from quantize.run.engine_task import calibration_set
from quantize.run.input_contract import contracted
from quantize.run.links import refuse_links_that_leave
from quantize.run.preflight import prepare_run, read_inputs
from quantize.run.recorded_request import require_inputs, with_inputs_of
from quantize.run.request import RunRequest, TuneRequest
from quantize.run.resolve import with_recorded_preprocessing, with_recorded_target
from quantize.run.search import Findings

_DECISIVE = ("python", "quantize", "onnxruntime", "onnx", "numpy", "pillow", "scipy", "neural-compressor", "blas")


@dataclass(frozen=True)
class Inputs:
    """Where a run's inputs lie now; None: as in the report.

    Attributes:
        model: The fp32 model.
        data: The images.
        labels: Their labels.
        config: The run's settings.
    """

    model: Path | None = None
    data: Path | None = None
    labels: Path | None = None
    config: RunConfig | None = None


def repeated_hashes(
    report: RunReport, inputs: Inputs, scratch: Path, *, run: Path, progress: Progress
) -> dict[str, str]:
    """Return the graph hashes that a run's recorded configuration and recipe give, by role.

    Args:
        report: The run's report.
        inputs: Where its inputs lie.
        scratch: Where the engine may write.
        run: The run's folder: it tells where inputs lie that are not named, and its images are decoded already.
        progress: Receives the progress of everything that takes long.

    Raises:
        QuantizeError: The inputs are not there, are others, or the engine is missing.
    """
    request, cache = _request(report, inputs, scratch, run, progress), run / "work" / "crops"
    if cache.is_dir():  # what is not decoded yet is added
        refuse_links_that_leave(run, ["work"])
    stages = Stages()
    prepared = prepare_run(
        request,
        read_inputs(request, stages),
        stages,
        progress,
        crops=cache if cache.is_dir() else None,
        expectation=False,
    )
    selection = prepared.evaluator(prepared.images.evaluation, "evaluation")
    journal = Journal(prepared.folder.journal, {}, resume=False)
    context = prepared.judged_by(Criterion(metric="none"), selection, Ratios(journal, {}))
    recipe = report.chosen.recipe
    remember_decisions(journal, recipe)
    again = engine_named(recipe.engine).build(context.model, recipe, calibration_set(context), scratch)
    folded = contracted(context, again, recipe)
    findings = Findings((), (), Trial(0, recipe, folded.candidate, None, 0.0), "built again", 0.0)
    pair = write_files(folded.context, folded.candidate, findings).pair
    hashes = {"int8": pair.int8.graph_sha256, "qdq": pair.qdq.graph_sha256}
    return {**hashes, "fp32": folded.context.whole.graph_sha256}


def _request(report: RunReport, inputs: Inputs, scratch: Path, run: Path, progress: Progress) -> RunRequest:
    config = with_recorded_target(
        inputs.config or RunConfig.model_validate(report.config), report.chosen.target, run="the report"
    )
    asked = TuneRequest(config=config, input_model=inputs.model, data_path=inputs.data, label_path=inputs.labels)
    found = with_inputs_of(run, asked)
    data, labels, calibration_list = _images(report, found, progress)
    request = RunRequest(
        config=with_recorded_preprocessing(found.config, report),
        model=found.input_model or Path(report.source.path),
        data=data,
        labels=labels,
        calibration_list=calibration_list,
        output=scratch / "run",
        recorded=report,
        demonstration=report.data.demonstration,
        skip_unreadable=bool(report.data.skipped),
        criterion="none",
    )
    require_inputs(request)
    return request


def _images(report: RunReport, found: TuneRequest, progress: Progress) -> tuple[Path, Path | None, Path | None]:
    """Return the images, their labels and the list of calibration images."""
    names = found.config.data.calibration_list
    if found.data_path is not None:
        return found.data_path, found.label_path, names
    if report.data.demonstration:
        packaged = demonstration_data(user_cache(), progress=progress)
        return packaged.data_path, packaged.label_path, packaged.calibration_list
    labels = Path(report.data.labels) if report.data.labels is not None else None
    return Path(report.data.path), found.label_path or labels, names


def replay_section(of: Path, report: RunReport, hashes: Mapping[str, str]) -> ReplaySection:
    """Return whether a repetition gave the same models.

    Args:
        of: The report that was repeated.
        report: What it holds.
        hashes: Role to the graph hash that the repetition gave.
    """
    changed = tuple(
        f"the {role} model's graph is {graph[:16]}, in the report {report.model(role).graph_sha256[:16]}"
        for role, graph in hashes.items()
        if graph != report.model(role).graph_sha256
    )
    elsewhere = machine_differences(report.provenance)
    outcome = "same" if not changed else "not comparable" if elsewhere else "different"
    differences = (*changed, *elsewhere) if changed else ()
    return ReplaySection.model_validate({"of": str(of), "outcome": outcome, "differences": differences})


def machine_differences(origin: Provenance) -> tuple[str, ...]:
    """Return what of this machine and its packages is not as in a report, one sentence each."""
    here = versions()
    differences = [
        f"{name} is {here.get(name, 'absent')}, in the report {origin.versions.get(name, 'absent')}"
        for name in _DECISIVE
        if here.get(name) != origin.versions.get(name)
    ]
    differences += _code_differences(origin.tool)
    isa = tuple(isa_flags() or ())
    if isa != origin.isa:
        differences.append(f"the instruction sets are {', '.join(isa)}, in the report {', '.join(origin.isa)}")
    return tuple(differences)


def _code_differences(tool: Tool) -> list[str]:
    """Return whether this tool's own code may be another: another commit, or changes on top of one."""
    state = git_state(Path(__file__).resolve().parent)
    commit, dirty = state if state is not None else (None, False)
    if commit != tool.git_commit:
        return [f"the tool's commit is {commit or 'not known'}, in the report {tool.git_commit or 'not known'}"]
    return ["the tool's code has changes that are not committed"] if dirty or tool.git_dirty else []
