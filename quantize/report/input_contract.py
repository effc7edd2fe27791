"""What was asked of the models' input, and how far it moved their scores."""

from __future__ import annotations

from quantize.report.section import Section


class InputContractSection(Section):
    """The normalization folded into the first Conv of both models.

    Attributes:
        contract: What the written models take.
        images: Images that the scores were compared on, before and after.
        fp32_moved: Root mean square of the differences of the fp32 model's scores over that of its scores before.
        fp32_within: The largest move that is accepted.
        int8_moved: The same of the quantized model, before its rewrites.
        int8_within: The largest move that is accepted.
        predictions_changed: Compared images whose top-1 the fold changed in the quantized model.
    """

    contract: str
    images: int
    fp32_moved: float
    fp32_within: float
    int8_moved: float
    int8_within: float
    predictions_changed: int

    @property
    def sentence(self) -> str:
        """Return what a person wants to know of it."""
        taken = _WORDS.get(self.contract, self.contract)
        return (
            f"The written models take {taken} (--input_contract {self.contract}), and "
            f"so does the fp32 model that they are compared with. That moved the scores of {self.images} images by "
            f"{self.fp32_moved:.1g} of their root mean square in fp32 and by {self.int8_moved:.1g} in int8 "
            f"(accepted: {self.fp32_within:g} and {self.int8_within:g})."
        )


_WORDS = {
    "uint8-nhwc": "pixels as they are decoded, channels last",
    "uint8-nchw": "pixels, channels first",
    "imagenet": "floats as the preset imagenet normalizes them",
}
