"""The time of every operator of two models."""

from __future__ import annotations

from collections import defaultdict

from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine.cpu_measurement import PeakRates
from quantize.measurement.machine.layer_shapes import LayerKind
from quantize.measurement.operators.kinds import Kind


class BestRates(BaseModel):
    """The most multiply-adds a second that onnxruntime reaches here.

    Attributes:
        int8: uint8 by int8, multiply-adds a second.
        fp32: Multiply-adds a second.
        threads: Threads that shared the work.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    int8: float
    fp32: float
    threads: int


def best_rates(peak_rates: PeakRates) -> BestRates:
    """Return the highest rates of all kinds of layers."""
    return BestRates(int8=peak_rates.best_int8, fp32=peak_rates.best_fp32, threads=peak_rates.threads)


class OperatorTime(BaseModel):
    """One node of the graph that ran.

    Attributes:
        name: Its name there.
        op_type: Its operator there.
        kind: Int8 arithmetic, fp32 arithmetic, or conversion.
        origin: The fp32 model's node that it computes; None for what quantization or onnxruntime added.
        origin_op: That node's operator.
        time_ns: Mean time of the middle half of the runs.
        multiply_adds: That the fp32 model's node needs; None if it is no product or the shapes are not known.
        reason: Why a node of a quantized model is in fp32 or requantizes; None for others.
        shape_note: What in a product's shape makes int8 gain little (few input channels, depthwise); None for others.
        layer: What kind of layer a product is; None for others, and in reports of earlier versions.
        fp32_bytes: Of a product's weights, input and result in fp32; None if its shape is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    op_type: str
    kind: Kind
    origin: str | None
    origin_op: str | None
    time_ns: float
    multiply_adds: int | None
    reason: str | None
    shape_note: str | None
    layer: LayerKind | None = None
    fp32_bytes: int | None = None


class ModelProfile(BaseModel):
    """One model's operators.

    Attributes:
        name: As in the plan.
        operators: In the order that they ran.
        outside_ns: Median over the runs of the time between the operators; the profiler's own is part of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    operators: tuple[OperatorTime, ...]
    outside_ns: float

    def time_ns(self, kind: Kind) -> float:
        """Return the time of all operators of a kind, in nanoseconds."""
        return sum(operator.time_ns for operator in self.operators if operator.kind == kind)

    def by_origin(self) -> dict[str, list[OperatorTime]]:
        """Return the operators that compute each of the fp32 model's, by its name, and no others."""
        nodes: defaultdict[str, list[OperatorTime]] = defaultdict(list)
        for operator in self.operators:
            if operator.origin is not None:
                nodes[operator.origin].append(operator)
        return dict(nodes)

    @property
    def run_ns(self) -> float:
        """Return the time of a run, in nanoseconds: the operators and the time between them.

        On a busy machine a run is interrupted more often than any one operator, so this is nearer to an undisturbed
        run than the runs' own times are.
        """
        return sum(operator.time_ns for operator in self.operators) + self.outside_ns


class Profile(BaseModel):
    """The operators of two models, and the peak rates of this CPU.

    Attributes:
        baseline: The fp32 model's.
        candidate: The quantized model's.
        peak: Multiply-adds a second at best.
        peaks: The same by kind of layer; None in reports of earlier versions.
        memory_rate: Bytes a second that one thread copies in memory; None in reports of earlier versions.
        runs: Profiled runs of each.
        threads: Intra-op threads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    baseline: ModelProfile
    candidate: ModelProfile
    peak: BestRates
    peaks: PeakRates | None = None
    memory_rate: float | None = None
    runs: int
    threads: int
