"""Every node of the fp32 model: in what it computes in the int8 file, what it costs and how far off it is."""

from __future__ import annotations

from dataclasses import dataclass

from quantize.measurement.operators.operator_times import OperatorTime
from quantize.report.schema import RunReport

COMPUTES = {
    "int8": "in int8",
    "float": "in fp32",
    "stored": "in fp32, weights stored in int8",
    "converts": "only converts",
    "joined": "within a neighbour",
}
"""What a node of the int8 file computes in, and the words for it."""
SHORT = {
    "int8": "int8",
    "float": "fp32",
    "stored": "fp32, stored int8",
    "converts": "converts",
    "joined": "joined",
}
"""The same for narrow columns."""


@dataclass(frozen=True)
class LayerRow:
    """One node of the fp32 model.

    Attributes:
        name: Its name.
        op_type: Its operator.
        computes: A key of ``COMPUTES``.
        fp32_ns: Its time in the fp32 model; None where it is joined to a neighbour, or nothing was measured.
        int8_ns: Its time in the int8 file.
        sqnr_decibel: Its result's signal to quantization noise; None if it was not measured.
        inputs: Positions of the rows that it reads.
    """

    name: str
    op_type: str
    computes: str
    fp32_ns: float | None
    int8_ns: float | None
    sqnr_decibel: float | None
    inputs: tuple[int, ...]

    @property
    def gain(self) -> float | None:
        """Return fp32's time over int8's; None where one is not known."""
        return self.fp32_ns / self.int8_ns if self.fp32_ns and self.int8_ns else None


def layer_rows(report: RunReport) -> tuple[LayerRow, ...]:
    """Return a row for each node, in the order in which they run; none where no operator was timed.

    Reports of earlier versions have no graph: their rows are those that were timed, and read nothing.
    """
    profile = report.profile
    if profile is None:
        return ()
    before, after = profile.baseline.by_origin(), profile.candidate.by_origin()
    errors = {layer.node: layer.sqnr_decibel for layer in report.layers}
    stored = set(report.chosen.recipe.stored_nodes)
    if report.graph is not None:
        nodes = [(node.name, node.op_type, node.inputs) for node in report.graph.nodes]
    else:
        nodes = [(name, timed[0].origin_op or timed[0].op_type, ()) for name, timed in before.items()]
    return tuple(
        LayerRow(
            name=name,
            op_type=op_type,
            computes=_computes(after.get(name, []), is_stored=name in stored),
            fp32_ns=_time(before.get(name)),
            int8_ns=_time(after.get(name)),
            sqnr_decibel=errors.get(name),
            inputs=inputs,
        )
        for name, op_type, inputs in nodes
    )


def _computes(operators: list[OperatorTime], *, is_stored: bool) -> str:
    kinds = {operator.kind for operator in operators}
    if not kinds:
        return "joined"
    if "int8" in kinds:
        return "int8"
    if "fp32" in kinds:
        return "stored" if is_stored else "float"
    return "converts"


def _time(operators: list[OperatorTime] | None) -> float | None:
    return sum(operator.time_ns for operator in operators) if operators else None
