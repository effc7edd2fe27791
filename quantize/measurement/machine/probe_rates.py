"""Time single layers in turns, and derive the peak rate of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from quantize.files import scratch_folder
from quantize.measurement.machine.cpu_measurement import KindPeakRates, PeakRates
from quantize.measurement.machine.layer_shapes import KINDS, ConvShape, GemmShape, LayerKind, Shape
from quantize.measurement.machine.probe import Arithmetic, Probe, Values, probe_graph
from quantize.measurement.operators.origins import is_conversion_name
from quantize.measurement.operators.trace import Trace, end_profiling
from quantize.measurement.timing.clock import Clock, monotonic
from quantize.measurement.timing.interleave import collector_paused
from quantize.models.session import MissingKernelError, open_session

_LEAST_ROUNDS = 2
_RUNS_A_TURN = 4
# The first is not counted: other layers have taken the caches.
_WARMUP = 1
# Threads of a session spin for a while after a run, and would take the cores of another one's.
_LONE_RUNS, _LONE_WARMUP = 48, 4

ProbeTimes = Callable[[Sequence[Probe], int], tuple[tuple[int, ...], ...]]
"""Takes layers and threads; returns each layer's counted runs in nanoseconds."""


def probe_times(
    probes: Sequence[Probe], threads: int, *, rounds: int = 8, max_seconds: float = 1.0, clock: Clock = monotonic
) -> tuple[tuple[int, ...], ...]:
    """Return each layer's times, without the conversions before and after it.

    On one thread the layers' sessions are open together and take turns of a few runs; on several, each turn has a
    session of its own, and there are half as many, longer ones.

    Args:
        probes: The layers.
        threads: Intra-op threads.
        rounds: Turns of each.
        max_seconds: No round but the second begins after this time: a slow or emulated CPU gets fewer.
        clock: Times the measurement.

    Returns:
        Of each layer, nanoseconds in each counted run, as many from each turn.
    """
    graphs = [probe_graph(probe) for probe in probes]
    files = [(graph.SerializeToString(), data) for graph, data in graphs]
    with scratch_folder("machine") as folder:
        if threads > 1:
            times: list[list[int]] = [[] for _ in probes]
            for _ in _rounds(max(_LEAST_ROUNDS, rounds // 2), max_seconds, clock):
                for index, (graph, data) in enumerate(files):
                    session = _open(graph, threads, folder)
                    _run(session, data, _LONE_RUNS)
                    times[index] += _counted(_trace(session), probes[index], _LONE_RUNS, _LONE_WARMUP)
            return tuple(map(tuple, times))
        sessions = [(_open(graph, threads, folder), data) for graph, data in files]
        for _ in _rounds(rounds, max_seconds, clock):
            for session, data in sessions:
                _run(session, data, _RUNS_A_TURN)
        traces = [_trace(session) for session, _ in sessions]
    return tuple(
        tuple(_counted(trace, probe, _RUNS_A_TURN, _WARMUP)) for trace, probe in zip(traces, probes, strict=True)
    )


def counted_runs(threads: int) -> int:
    """Return how many runs of each turn are counted."""
    return _RUNS_A_TURN - _WARMUP if threads == 1 else _LONE_RUNS - _LONE_WARMUP


def _rounds(most: int, max_seconds: float, clock: Clock) -> Iterator[int]:
    """Yield round numbers until there are enough, or until time is up after at least two."""
    end = clock() + int(max_seconds * 1e9)
    for done in range(most):
        if done >= _LEAST_ROUNDS and clock() >= end:
            return
        yield done


def _open(graph: bytes, threads: int, folder: Path) -> onnxruntime.InferenceSession:
    number = len(list(folder.iterdir()))  # sessions of the same second would share a name
    return open_session(graph, threads=threads, profile_prefix=folder / f"layer-{number}")


def _run(session: onnxruntime.InferenceSession, data: Values, runs: int) -> None:
    with collector_paused():
        for _ in range(runs):
            session.run(None, {"x": data})


def _trace(session: onnxruntime.InferenceSession) -> Trace:
    return end_profiling(session)


def _counted(trace: Trace, probe: Probe, turn: int, warmup: int) -> list[int]:
    # A rewritten first layer is what stands before the Conv as well.
    nodes = [node for node in trace.nodes if probe.block > 1 or not is_conversion_name(node.op_type)]
    runs = [sum(times) for times in zip(*(node.runs_ns for node in nodes), strict=True)]
    return [time for number, time in enumerate(runs) if number % turn >= warmup]


# Sizes of real classifiers (SqueezeNet, EfficientNet-Lite0), whose data and weights fit a second-level cache of 1 MB.
SHAPES: Mapping[LayerKind, tuple[Shape, ...]] = {
    "pointwise": (ConvShape(256, 256, (1, 1), (14, 14)), ConvShape(512, 192, (1, 1), (13, 13))),
    "spatial": (
        ConvShape(64, 64, (3, 3), (28, 28), pads=(1, 1, 1, 1)),
        ConvShape(64, 256, (3, 3), (13, 13), pads=(1, 1, 1, 1)),
    ),
    "depthwise": (
        ConvShape(240, 240, (5, 5), (28, 28), pads=(2, 2, 2, 2), group=240),
        ConvShape(672, 672, (5, 5), (14, 14), pads=(2, 2, 2, 2), group=672),
    ),
    "first": (ConvShape(3, 64, (3, 3), (112, 112), strides=(2, 2), pads=(1, 1, 1, 1)),),
    "gemm": (GemmShape(128, 512, 256),),
}
# The same first layer after SpaceToDepth(2): four pixels side by side are twelve channels.
_REWRITTEN = ConvShape(12, 64, (2, 2), (56, 56), pads=(1, 1, 0, 0))


@dataclass(frozen=True)
class Rates:
    """Multiply-adds a second of some layers.

    Attributes:
        of: By layer, as the shape needs them: what a rewrite adds is not counted.
        spread: Largest relative difference between the two halves' shortest times.
    """

    of: Mapping[Probe, float]
    spread: float

    def best(self, kind: LayerKind, arithmetic: Arithmetic, *, block: int = 1) -> float | None:
        """Return the highest rate of a kind's layers; None if none was measured."""
        rates = [
            rate
            for probe, rate in self.of.items()
            if probe.arithmetic == arithmetic and probe.block == block and _kind(probe) == kind
        ]
        return max(rates, default=None)


def measured_peak_rates(threads: int, times: ProbeTimes) -> PeakRates:
    """Return the peak rates of fp32 and int8 on some number of threads.

    Args:
        threads: Intra-op threads.
        times: Measures layers.
    """
    kinds, spread = [], 0.0
    for kind in KINDS:
        rates = measured_rates(kind, ("fp32", "u8s8"), threads, times)
        fp32, plain = rates.best(kind, "fp32"), rates.best(kind, "u8s8")
        assert fp32 is not None
        assert plain is not None
        rewritten = rates.best(kind, "u8s8", block=2) or 0.0
        kinds.append(KindPeakRates(kind=kind, fp32=fp32, int8=max(plain, rewritten), rewritten=rewritten > plain))
        spread = max(spread, rates.spread)
    return PeakRates(threads=threads, kinds=tuple(kinds), spread=spread)


def measured_rates(
    kind: LayerKind, arithmetics: Sequence[Arithmetic], threads: int, times: ProbeTimes, shapes: Sequence[Shape] = ()
) -> Rates:
    """Return the rates of a kind's layers in several arithmetics, measured in turns.

    Args:
        kind: The kind; of first layers the rewritten one is measured too where onnxruntime can compute it.
        arithmetics: The arithmetics.
        threads: Intra-op threads.
        times: Measures layers.
        shapes: The layers; by default those that stand for their kind.
    """
    own = tuple(shapes) or SHAPES[kind]
    probes = [Probe(shape, arithmetic) for shape in own for arithmetic in arithmetics]
    counts = {probe: probe.shape.multiply_adds for probe in probes}
    taken = None
    if kind == "first" and not shapes:
        rewritten = Probe(_REWRITTEN, "u8s8", block=2)
        with suppress(MissingKernelError):  # onnxruntime before 1.24 has no SpaceToDepth of 8 bits
            taken = times([*probes, rewritten], threads)
            probes.append(rewritten)
            counts[rewritten] = own[0].multiply_adds
    if taken is None:
        taken = times(probes, threads)
    rates = {probe: counts[probe] * 1e9 / max(1, min(runs)) for probe, runs in zip(probes, taken, strict=True)}
    return Rates(rates, max(_spread(runs) for runs in taken))


def _spread(runs: Sequence[int]) -> float:
    halves = [min(half, default=0) for half in (runs[: len(runs) // 2], runs[len(runs) // 2 :])]
    return abs(halves[0] - halves[1]) / max(1, min(halves))


def _kind(probe: Probe) -> LayerKind:
    return "first" if probe.block > 1 else probe.shape.kind
