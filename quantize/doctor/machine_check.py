"""What can this CPU gain from int8?"""

from __future__ import annotations

from quantize.doctor.finding import Examined, Finding, right
from quantize.measurement.machine.text import busy_words, saturation_words
from quantize.report.machine import MachineSection
from quantize.target import saturates

_NAME = "machine"


def examine_cpu(section: MachineSection) -> Examined:
    """Return what int8 is expected to gain in the model on this CPU, with a note where it has no VNNI.

    Args:
        section: The CPU, measured, and the model's expectation.
    """
    machine = section.machine
    busy = busy_words(machine)
    text = f"class {machine.cpu_class}; {section.line}" + (f". {busy}" if busy is not None else "")
    return right(_NAME, text, _without_dot_product(section)) if saturates(machine.cpu_class) else right(_NAME, text)


def _without_dot_product(section: MachineSection) -> Finding:
    machine, peak = section.machine, section.machine.single.of("pointwise")
    gains = "what int8 gains here is not known"
    if section.expectation is not None:
        gains = f"int8 is expected to gain {section.expectation.gain:.1f}x here"
    return Finding(
        check=_NAME,
        severity="note",
        what=f"This CPU has no dot product of int8 (VNNI): {gains}.",
        sure="certain",
        evidence=f"onnxruntime {machine.onnxruntime} reaches {peak.int8 / 1e9:.0f} G multiply-adds a second in int8 "
        f"and {peak.fp32 / 1e9:.0f} in fp32 (Conv 1x1, one thread). {saturation_words(machine)}",
        advice="Tune with --target auto, the default: layers that int8 makes slower stay in fp32. Where the model will "
        "run on CPUs with VNNI, name them; speed is then not judged here.",
        command="--target vnni",
    )
