"""The CPU of a run, and what int8 was expected to gain there."""

from __future__ import annotations

from quantize.measurement.machine.cpu_measurement import Machine
from quantize.measurement.machine.expectation import Expectation, expectation_line
from quantize.measurement.machine.layer_shapes import KIND_NAMES
from quantize.measurement.machine.text import saturation_words
from quantize.report.section import Section
from quantize.report.table import Table
from quantize.report.wording import NOTHING, percent, times
from quantize.target import CpuClass


class MachineSection(Section):
    """What was known of the CPU before the run began.

    Attributes:
        machine: The CPU, measured.
        target: The class of CPUs that the models are made for.
        threads: On how many threads the expectation is.
        expectation: What int8 is expected to gain in the model; None where no shape of a product is known.
    """

    machine: Machine
    target: CpuClass
    threads: int
    expectation: Expectation | None

    @property
    def line(self) -> str:
        """Return what int8 is expected to gain, in one line."""
        if self.expectation is None:
            return "What int8 can gain is not known: no shape of a product is."
        return expectation_line(self.expectation, self.machine, self.target)


def machine_table(section: MachineSection | None) -> Table | None:
    """Return the CPU's peaks and the model's shares of them, or None for a report without them."""
    if section is None:
        return None
    shares = {share.kind: share for share in section.expectation.kinds} if section.expectation is not None else {}
    total = sum(share.fp32_ns for share in shares.values())
    rows = []
    for peak in section.machine.peaks(section.threads).kinds:
        share = shares.get(peak.kind)
        part = NOTHING if share is None else percent(share.fp32_ns / total, 0)
        fp32, int8 = (f"{rate / 1e9:.1f} G/s" for rate in (peak.fp32, peak.int8))
        rows.append((KIND_NAMES[peak.kind], part, fp32, int8, times(peak.gain)))
    return Table(
        "What this CPU can gain",
        ("layers", "of fp32 time", "fp32 peak", "int8 peak", "int8 gains"),
        tuple(rows),
        (
            section.line + ".",
            saturation_words(section.machine),
            f"Multiply-adds a second at best, class {section.machine.cpu_class}, onnxruntime "
            f"{section.machine.onnxruntime}; the share of time is at fp32's peak.",
        ),
    )
