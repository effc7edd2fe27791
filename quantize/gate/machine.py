"""The machine of a run, as far as it decides whether times are comparable."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from quantize.cpus.registry import DOT_PRODUCTS, class_of
from quantize.gate.document import ReportDocument
from quantize.target import CPU_CLASSES, CpuClass


class Machine(BaseModel):
    """A machine and the settings that were measured with.

    Attributes:
        isa: Instruction sets that decide int8 kernels, sorted.
        cpu_model: The processor's name; None if nothing was measured.
        logical_cores: Its cores; None if nothing was measured.
        threads: Intra-op threads; None if nothing was measured.
        cpu_class: Its class of CPUs; None in earlier files: the instruction sets tell it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    isa: tuple[str, ...]
    cpu_model: str | None
    logical_cores: int | None
    threads: int | None
    cpu_class: CpuClass | None = None

    @property
    def known_class(self) -> CpuClass | None:
        """Return its class of CPUs; None if neither a class nor instruction sets were recorded."""
        if self.cpu_class is not None or not self.isa:
            return self.cpu_class
        return class_of("", frozenset(self.isa))


def machine_of(document: ReportDocument) -> Machine:
    """Return where a run was measured."""
    isa = document.at("provenance", "isa")
    environment = document.measurement.environment if document.measurement is not None else None
    return Machine(
        isa=tuple(sorted(str(flag) for flag in isa)) if isinstance(isa, list) else (),
        cpu_model=environment.cpu_model if environment else None,
        logical_cores=environment.logical_cores if environment else None,
        threads=environment.threads if environment else None,
        cpu_class=recorded_class(document),
    )


def recorded_class(document: ReportDocument) -> CpuClass | None:
    """Return the class of CPUs that a run says it was measured on; None in earlier reports."""
    environment = document.measurement.environment if document.measurement is not None else None
    timed_on = environment.cpu_class if environment is not None else None
    said = timed_on or document.at("provenance", "cpu_class")
    return next((known for known in CPU_CLASSES if known == said), None)


def target_of(document: ReportDocument) -> CpuClass:
    """Return the class of CPUs that a run's models are for; earlier reports that do not say so are for VNNI."""
    said = document.text("chosen", "target")
    return next((known for known in CPU_CLASSES if known == said), "vnni")


def not_for_target(document: ReportDocument) -> str | None:
    """Return why a run's times say nothing of the CPUs that its models are for, or None if they do."""
    here, target = recorded_class(document), target_of(document)
    if here is None or here == target:
        return None
    return f"not measured for the target {target}: this machine's class of CPUs is {here}"


def unlikeness(baseline: Machine, here: Machine) -> str | None:
    """Return why times of two machines are not compared, or None if they are alike."""
    if baseline.known_class != here.known_class:
        classes = [machine.known_class or "unknown" for machine in (here, baseline)]
        return f"measured on CPUs of class {classes[0]}, the baseline on {classes[1]}"
    if baseline.isa != here.isa:
        return "a different instruction set from the baseline's"
    for field, name in (("cpu_model", "processor"), ("logical_cores", "number of cores"), ("threads", "threads")):
        if getattr(baseline, field) != getattr(here, field):
            return f"another {name} than the baseline's"
    return None


def isa_note(baseline: Machine, here: Machine) -> str | None:
    """Return a note on differing instruction sets, or None if they are the same."""
    if baseline.isa == here.isa:
        return None
    fast_there = [flag for flag in baseline.isa if flag in DOT_PRODUCTS]
    fast_here = [flag for flag in here.isa if flag in DOT_PRODUCTS]
    if fast_there and not fast_here:
        return "This runner has no VNNI (no int8 dot product): results may differ for that reason."
    if fast_here and not fast_there:
        return "This runner has int8 instructions that the baseline's lacked: results may differ for that reason."
    gone, new = sorted(set(baseline.isa) - set(here.isa)), sorted(set(here.isa) - set(baseline.isa))
    changes = [f"lacks {', '.join(gone)}"] if gone else []
    changes += [f"has {', '.join(new)} besides"] if new else []
    return f"This runner {' and '.join(changes)}: results may differ for that reason."
