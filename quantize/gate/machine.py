"""Where a run was measured, as far as it decides whether times can be compared."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from quantize.gate.document import ReportDocument

_INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


class Machine(BaseModel):
    """A machine and the settings that were measured with.

    Attributes:
        isa: Instruction sets that decide int8 kernels, sorted.
        cpu_model: The processor's name; None where nothing was measured.
        logical_cores: Its cores; None where nothing was measured.
        threads: Intra-op threads; None where nothing was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    isa: tuple[str, ...]
    cpu_model: str | None
    logical_cores: int | None
    threads: int | None


def machine_of(document: ReportDocument) -> Machine:
    """Return where a run was measured."""
    isa = document.at("provenance", "isa")
    environment = document.measurement.environment if document.measurement is not None else None
    return Machine(
        isa=tuple(sorted(str(flag) for flag in isa)) if isinstance(isa, list) else (),
        cpu_model=environment.cpu_model if environment else None,
        logical_cores=environment.logical_cores if environment else None,
        threads=environment.threads if environment else None,
    )


def unlikeness(baseline: Machine, here: Machine) -> str | None:
    """Return why times of two machines are not compared, or None where they are alike."""
    if baseline.isa != here.isa:
        return "another instruction set than the baseline's"
    for field, name in (("cpu_model", "processor"), ("logical_cores", "number of cores"), ("threads", "threads")):
        if getattr(baseline, field) != getattr(here, field):
            return f"another {name} than the baseline's"
    return None


def isa_note(baseline: Machine, here: Machine) -> str | None:
    """Return what a reader has to know where the instruction sets differ, or None where they are the same."""
    if baseline.isa == here.isa:
        return None
    fast_there = [flag for flag in baseline.isa if flag in _INT8_FLAGS]
    fast_here = [flag for flag in here.isa if flag in _INT8_FLAGS]
    if fast_there and not fast_here:
        return "This runner has no VNNI (no int8 dot product): results may differ for that reason."
    if fast_here and not fast_there:
        return "This runner has int8 instructions that the baseline's had not: results may differ for that reason."
    gone, new = sorted(set(baseline.isa) - set(here.isa)), sorted(set(here.isa) - set(baseline.isa))
    changes = [f"lacks {', '.join(gone)}"] if gone else []
    changes += [f"has {', '.join(new)} besides"] if new else []
    return f"This runner {' and '.join(changes)}: results may differ for that reason."
