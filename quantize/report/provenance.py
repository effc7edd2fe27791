"""What a report's figures came from: tool, machine-independent hashes, versions, the command."""

from __future__ import annotations

from quantize.report.section import Section
from quantize.target import CpuClass


class Tool(Section):
    """The tool that wrote the report.

    Attributes:
        version: Version of the package.
        git_commit: Commit of the checkout it ran from, or None where it was installed without one.
        git_dirty: Whether tracked files of that checkout were changed, or None.
    """

    name: str = "quantize"
    version: str
    git_commit: str | None
    git_dirty: bool | None


class Provenance(Section):
    """Hashes and versions that decide the outcome.

    Attributes:
        tool: What wrote the report.
        created: Time of writing, UTC, ISO 8601.
        command: The command line, as words.
        config_fingerprint: Hash over the resolved configuration.
        data_fingerprint: Hash over the decoded crops and labels.
        preprocessing_fingerprint: Hash over the preprocessing.
        calibration_fingerprint: Hash over the calibration crops.
        versions: Package name to version.
        isa: Instruction sets that decide int8 kernels, sorted.
        cpu_class: Class of the CPU that measured; None in earlier reports.
    """

    tool: Tool
    created: str
    command: tuple[str, ...]
    config_fingerprint: str
    data_fingerprint: str
    preprocessing_fingerprint: str
    calibration_fingerprint: str
    versions: dict[str, str]
    isa: tuple[str, ...]
    cpu_class: CpuClass | None = None
