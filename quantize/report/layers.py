"""How far each layer of the int8 model is from the same layer in fp32."""

from __future__ import annotations

from quantize.report.section import Section


class LayerErrorSection(Section):
    """One layer.

    Attributes:
        node: Name of the fp32 model's node.
        op_type: Its operator.
        sqnr_decibel: Energy of the fp32 layer's result over that of the difference, in dB; None where they are equal.
    """

    node: str
    op_type: str
    sqnr_decibel: float | None
