"""A recorded run that is repeated: the settings that its report gives, and whether it gave the same models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from quantize.config.run_config import PreprocessingBlock, RunConfig
from quantize.config.tuning import SpeedCriterionBlock
from quantize.data.cache_folder import user_cache
from quantize.data.demonstration import demonstration_data
from quantize.errors import RunError
from quantize.measurement.machine.cpu import isa_flags
from quantize.models.artifact import ModelArtifact
from quantize.provenance import git_state, versions
from quantize.report.provenance import Provenance, Tool
from quantize.report.replay import ReplaySection
from quantize.report.schema import RunReport
from quantize.run.target import with_recorded_target

_DECISIVE = ("python", "quantize", "onnxruntime", "onnx", "numpy", "pillow", "scipy", "neural-compressor", "blas")


def replay_settings(config: RunConfig, report: RunReport, run: str) -> RunConfig:
    """Return the settings of a repetition: the report's target and preprocessing, and its images where none are named.

    What the user names wins: a run moves to another machine, where its files lie elsewhere.

    Args:
        config: All settings that were asked for.
        report: The report of the run that is repeated.
        run: Where the report lies, for the error.

    Raises:
        ConfigError: Another target is asked for than the report's.
    """
    config = with_recorded_preprocessing(with_recorded_target(config, report.chosen.target, run=run), report)
    if config.data.path is None:
        config = config.model_copy(update={"data": config.data.model_copy(update=_places(report))})
    if report.criterion.min_speedup is None and not config.tuning.speed_criterion.model_fields_set:
        config = _without_speed(config)
    return config


def require_same_inputs(report: RunReport, source: ModelArtifact, calibration_fingerprint: str) -> None:
    """Refuse to repeat a run with another model or other calibration images.

    Raises:
        RunError: They are not those of the report.
    """
    pairs = (
        ("model", report.source.sha256, source.sha256, "--input_model"),
        ("calibration images", report.provenance.calibration_fingerprint, calibration_fingerprint, "--data_path"),
    )
    for what, recorded, found, flag in pairs:
        if recorded != found:
            raise RunError(
                f"this is not the run's {what}",
                where=flag,
                found=found[:16],
                expected=f"{recorded[:16]}, as in the report",
                advice=f"name the same {what} as in the run that is repeated",
            )


def replay_section(of: Path, report: RunReport, hashes: Mapping[str, str]) -> ReplaySection:
    """Return whether a repetition gave the same models.

    Args:
        of: The report that was repeated.
        report: What it holds.
        hashes: Role to the graph hash that the repetition gave.
    """
    changed = tuple(
        f"the {role} model's graph is {found[:16]}, in the report {report.model(role).graph_sha256[:16]}"
        for role, found in hashes.items()
        if found != report.model(role).graph_sha256
    )
    elsewhere = machine_differences(report.provenance)
    outcome = "same" if not changed else "not comparable" if elsewhere else "different"
    differences = (*changed, *elsewhere) if changed else ()
    return ReplaySection.model_validate({"of": str(of), "outcome": outcome, "differences": differences})


def machine_differences(origin: Provenance) -> tuple[str, ...]:
    """Return what of this machine and its packages is not as in a report, one sentence each."""
    here = versions()
    found = [
        f"{name} is {here.get(name, 'absent')}, in the report {origin.versions.get(name, 'absent')}"
        for name in _DECISIVE
        if here.get(name) != origin.versions.get(name)
    ]
    found += _code_differences(origin.tool)
    isa = tuple(isa_flags() or ())
    if isa != origin.isa:
        found.append(f"the instruction sets are {', '.join(isa)}, in the report {', '.join(origin.isa)}")
    return tuple(found)


def _code_differences(tool: Tool) -> list[str]:
    """Return whether this tool's own code may be another: another commit, or changes on top of one."""
    state = git_state(Path(__file__).resolve().parent)
    commit, dirty = state if state is not None else (None, False)
    if commit != tool.git_commit:
        return [f"the tool's commit is {commit or 'not known'}, in the report {tool.git_commit or 'not known'}"]
    return ["the tool's code has changes that are not committed"] if dirty or tool.git_dirty else []


def _without_speed(config: RunConfig) -> RunConfig:
    """Return the settings without a criterion on speed: a run of an earlier version had none, and is repeated."""
    none = SpeedCriterionBlock(min_speedup=0.0)
    return config.model_copy(update={"tuning": config.tuning.model_copy(update={"speed_criterion": none})})


def with_recorded_preprocessing(config: RunConfig, report: RunReport) -> RunConfig:
    """Return the settings with a run's own preprocessing where none is named: the catalog may have learned another.

    The report of a run with an input contract tells how its written files are fed; then the settings stay as they are.
    """
    given = config.preprocessing.given()
    if "preset" in given or report.input_contract is not None:
        return config
    own = PreprocessingBlock.model_validate({**report.preprocessing.model_dump(), **given})
    return config.model_copy(update={"preprocessing": own})


def _places(report: RunReport) -> dict[str, Path | None]:
    if report.data.demonstration:
        packaged = demonstration_data(user_cache())
        return {
            "path": packaged.data_path,
            "labels": packaged.label_path,
            "calibration_list": packaged.calibration_list,
        }
    return {"path": Path(report.data.path), "labels": Path(report.data.labels) if report.data.labels else None}
