"""Where a report's figures come from: tool, hashes, versions, command, CPU, the repeated run, the time."""

from __future__ import annotations

from typing import Literal

from quantize.measurement.machine.cpu_measurement import Machine
from quantize.measurement.machine.expectation import Expectation, expectation_line
from quantize.report.section import Section
from quantize.target import CpuClass


class StageSection(Section):
    """Seconds that a stage of the run took."""

    name: str
    seconds: float


class Tool(Section):
    """The tool that wrote the report.

    Attributes:
        version: Version of the package.
        git_commit: Commit of the checkout it ran from, or None if it was installed without one.
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
        begun: The command line that began the run, as words, where it was resumed; empty in earlier reports.
        config_fingerprint: Hash over the resolved configuration.
        data_fingerprint: Hash over the decoded crops and labels.
        preprocessing_fingerprint: Hash over the preprocessing.
        calibration_fingerprint: Hash over the calibration crops.
        calibration_marks: The beginnings of each calibration crop's hash, sorted: they tell the images again, and show
            none of them. Empty in earlier reports.
        versions: Package name to version.
        isa: Instruction sets that decide int8 kernels, sorted.
        cpu_class: Class of the CPU that measured; None in earlier reports.
    """

    tool: Tool
    created: str
    command: tuple[str, ...]
    begun: tuple[str, ...] = ()
    config_fingerprint: str
    data_fingerprint: str
    preprocessing_fingerprint: str
    calibration_fingerprint: str
    calibration_marks: tuple[str, ...] = ()
    versions: dict[str, str]
    isa: tuple[str, ...]
    cpu_class: CpuClass | None = None


class ReplaySection(Section):
    """The outcome of a repetition.

    Attributes:
        of: The report that was repeated.
        outcome: ``same``: both models have the same graph hash. ``different``: they have not, on the same instruction
            sets and versions. ``not comparable``: they have not, and machine or versions differ.
        differences: What differs: models, instruction sets, versions; one sentence each.
    """

    of: str
    outcome: Literal["same", "different", "not comparable"]
    differences: tuple[str, ...]


def replay_sentences(replay: ReplaySection) -> tuple[str, ...]:
    """Return what a repetition came to, in sentences."""
    first = {
        "same": f"Both models are identical, bit for bit, to those of {replay.of}.",
        "different": f"The models are NOT the same as those of {replay.of}, on the same versions and instruction sets.",
        "not comparable": f"The models differ from those of {replay.of}, and so do machine or versions: no comparison.",
    }[replay.outcome]
    return (first, *(f"{difference}." for difference in replay.differences))


class MachineSection(Section):
    """What was known of the CPU before the run began.

    Attributes:
        machine: The CPU, measured.
        target: The class of CPUs that the models are made for.
        threads: On how many threads the expectation is.
        expectation: What int8 is expected to gain in the model; None if no shape of a product is known.
    """

    machine: Machine
    target: CpuClass
    threads: int
    expectation: Expectation | None

    @property
    def line(self) -> str:
        """Return what int8 is expected to gain, in one line."""
        if self.expectation is None:
            return "What int8 can gain is unknown: no layer has a known shape."
        return expectation_line(self.expectation, self.machine, self.target)
