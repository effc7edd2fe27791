"""Reading onnxruntime's profile: which node took how long in which run."""

from __future__ import annotations

import bisect
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SUFFIX = "_kernel_time"
Tensor = tuple[str, tuple[int, ...]]
"""A tensor's type, as onnxruntime names it (``uint8``, ``float``), and its shape."""


@dataclass(frozen=True)
class NodeTrace:
    """One node of the graph that onnxruntime ran.

    Attributes:
        name: Its name there.
        op_type: Its operator.
        inputs: Its inputs, without weights that onnxruntime has packed into a form of its own.
        outputs: Its outputs.
        runs_ns: Time in each run, in nanoseconds (the profiler's resolution is a microsecond).
    """

    name: str
    op_type: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    runs_ns: tuple[int, ...]


@dataclass(frozen=True)
class Trace:
    """A session's profile.

    Attributes:
        nodes: In the order that they ran.
        runs_ns: Time of each whole run, in nanoseconds.
    """

    nodes: tuple[NodeTrace, ...]
    runs_ns: tuple[int, ...]


def read_trace(path: Path) -> Trace:
    """Return what a profile of onnxruntime holds.

    Args:
        path: The file that ``InferenceSession.end_profiling`` names.

    Raises:
        ValueError: It holds no run.
    """
    events: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    runs = sorted((event["ts"], event["dur"]) for event in events if event["name"] == "model_run")
    if not runs:
        raise ValueError(f"{path} holds no run")
    begins = [begin for begin, _ in runs]
    kernels = [event for event in events if event["cat"] == "Node" and event["name"].endswith(_SUFFIX)]
    durations: dict[str, list[int]] = defaultdict(lambda: [0] * len(runs))
    first: dict[str, dict[str, Any]] = {}
    for event in sorted(kernels, key=lambda event: int(event["ts"])):
        key = event["args"]["node_index"]
        first.setdefault(key, event)
        durations[key][bisect.bisect_right(begins, event["ts"]) - 1] += event["dur"] * 1000
    nodes = [_node(event, tuple(durations[key])) for key, event in first.items()]
    return Trace(nodes=tuple(nodes), runs_ns=tuple(length * 1000 for _, length in runs))


def _node(event: dict[str, Any], runs_ns: tuple[int, ...]) -> NodeTrace:
    args = event["args"]
    return NodeTrace(
        name=event["name"].removesuffix(_SUFFIX),
        op_type=args["op_name"],
        inputs=_tensors(args.get("input_type_shape", ())),
        outputs=_tensors(args.get("output_type_shape", ())),
        runs_ns=runs_ns,
    )


def _tensors(entries: Any) -> tuple[Tensor, ...]:
    return tuple((kind, tuple(shape)) for entry in entries for kind, shape in entry.items())
