"""A recorded recipe built again, without a search, and whether it gave the same models."""

from __future__ import annotations

from pathlib import Path

from quantize.errors import RunError
from quantize.measurement.machine.cpu import isa_flags
from quantize.models.artifact import ModelArtifact
from quantize.provenance import git_state, versions
from quantize.report.provenance import Provenance, Tool
from quantize.report.replay import ReplaySection
from quantize.report.schema import RunReport

_DECISIVE = ("python", "quantize", "onnxruntime", "onnx", "numpy", "pillow", "scipy", "neural-compressor", "blas")


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


def replay_section(of: Path, report: RunReport, hashes: dict[str, str]) -> ReplaySection:
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
