"""The CPU that a figure was measured on: kept with it, so that figures of several CPUs stand side by side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from quantize.measurement.machine.cpu import cpu_model
from quantize.measurement.machine.cpu_class import this_cpu_class

_ROOT = Path("/")
_ZEN = {23: "Zen to Zen 2", 26: "Zen 5"}
"""AMD's cores by the family of their CPUs, where it tells them."""
_FAMILY_OF_TWO = 25
"""Of Zen 3 and Zen 4, which the model tells."""
_ZEN_4 = (range(0x10, 0x20), range(0x60, 0xB0))
_INTEL_FAMILY = 6
"""Of all of Intel's Xeons: their model tells the core."""
_INTEL = {106: "Ice Lake", 108: "Ice Lake", 143: "Sapphire Rapids", 173: "Granite Rapids", 207: "Emerald Rapids"}


@dataclass(frozen=True)
class MeasuredOn:
    """A CPU.

    Attributes:
        model: Its name, as the system tells it; a guest is often told no more than "AMD EPYC".
        family: Its family by CPUID; None where the system does not tell it (other than x86).
        cpu_class: Its class: ``vnni``, ``avx2``, ``arm64``; that of the kernels, where it was held to others.
        core: What its maker calls the core, such as ``Zen 5``; None where that is not known here.
    """

    model: str
    family: int | None
    cpu_class: str
    core: str | None = None

    @property
    def folder(self) -> str:
        """Return a folder's name, such as ``amd-epyc-family-26-vnni``: of its name, family or core, and class."""
        family = "" if self.family is None else f"family {self.family}"
        core = self.core if self.family == _INTEL_FAMILY and self.core else family
        name = re.sub(r"\((r|tm)\)", "", f"{self.model} {core} {self.cpu_class}".lower())
        return re.sub(r"[^a-z0-9]+", "-", name).strip("-")

    @property
    def in_words(self) -> str:
        """Return what tables call it, such as ``AMD EPYC (Zen 5), `vnni```."""
        core = self.core or (None if self.family is None else f"family {self.family}")
        return f"{self.model}{'' if core is None else f' ({core})'}, `{self.cpu_class}`"


def this_cpu(root: Path = _ROOT) -> MeasuredOn:
    """Return the CPU that this runs on."""
    path = root / "proc/cpuinfo"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    family, model = _number(text, "cpu family"), _number(text, "model")
    core = _core(family, model) if "AuthenticAMD" in text else None
    if "GenuineIntel" in text and family == _INTEL_FAMILY and model is not None:
        core = _INTEL.get(model)
    return MeasuredOn(cpu_model(root), family, this_cpu_class(), core)


def _number(text: str, key: str) -> int | None:
    found = re.search(rf"^{key}\s*:\s*(\d+)\s*$", text, re.MULTILINE)
    return None if found is None else int(found[1])


def _core(family: int | None, model: int | None) -> str | None:
    if family == _FAMILY_OF_TWO and model is not None:
        return "Zen 4" if any(model in models for models in _ZEN_4) else "Zen 3"
    return None if family is None else _ZEN.get(family)
