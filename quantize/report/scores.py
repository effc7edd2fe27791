"""What a model's scores are, and what else its files give."""

from __future__ import annotations

from quantize.report.models import Role
from quantize.report.section import Section
from quantize.report.wording import NOTHING, percent

WORST_KEPT = 20.0
"""Decibels below which an output is told as not kept: its error is a tenth of its values."""


class OtherOutputSection(Section):
    """An output beside the scores, in one written file.

    Attributes:
        role: The file.
        name: The output.
        sqnr_decibel: Energy of fp32's values over that of the difference, in dB; None if equal, or no real numbers.
        equal: Share of values that are fp32's.
    """

    role: Role
    name: str
    sqnr_decibel: float | None
    equal: float

    @property
    def text(self) -> str:
        """Return how well it is kept, in a few words."""
        if self.sqnr_decibel is None:
            return f"{percent(self.equal)} of its values equal"
        return f"{self.sqnr_decibel:.1f} dB"

    @property
    def is_lost(self) -> bool:
        """Return whether its error is more than rounding."""
        return self.sqnr_decibel is not None and self.sqnr_decibel < WORST_KEPT


class ScoresSection(Section):
    """The scores that the models are judged by.

    Attributes:
        tensor: The tensor that holds them.
        given: Whether the file gives them; else its ArgMax or TopK chooses from them.
        others: The files' other outputs.
    """

    tensor: str
    given: bool
    others: tuple[OtherOutputSection, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return what a reader should know of them."""
        told = []
        if not self.given:
            told.append(
                f"Judged: {self.tensor}, the scores from which the model's last step chooses; the files keep it."
            )
        names = dict.fromkeys(other.name for other in self.others)
        for name in names:
            kept = ", ".join(f"{other.role} {other.text}" for other in self.others if other.name == name)
            told.append(f"Output {name}, not judged, against fp32's: {kept or NOTHING}.")
        return tuple(told)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return a sentence for each output whose error is more than rounding."""
        return tuple(
            f"Output {other.name} of the {other.role} file is only {other.text} from fp32's; rounding leaves "
            f"{WORST_KEPT:.0f} dB or more."
            for other in self.others
            if other.is_lost
        )
