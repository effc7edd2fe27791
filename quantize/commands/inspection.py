"""What a model file contains: any valid ONNX file, whether it can be tuned or not."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto
from pydantic import TypeAdapter

from quantize.errors import MeasurementError, ModelError
from quantize.formats import quantized_format
from quantize.formats.float_weights import stored_layers
from quantize.graph.identity import graph_sha256
from quantize.graph.nodes import DEFAULT_DOMAINS, default_opset
from quantize.graph.op_counts import op_counts
from quantize.measurement.machine.loads import Resources
from quantize.models.catalog.catalog import catalog_entry_for
from quantize.models.contract import ModelContract, model_contract, real_inputs, tensor_contract
from quantize.models.reading import read_model
from quantize.models.refusals import refuse_unsuitable
from quantize.models.score_tensor import describe, score_tensors
from quantize.models.weight_types import FLOATS, weight_types
from quantize.opening.blame import blamed
from quantize.opening.bounds import Bounds, open_within
from quantize.processes.watch import Watch
from quantize.provenance import sha256_bytes
from quantize.report.integer_share import Arithmetic, arithmetic_of
from quantize.report.lines import WIDTH, drawn
from quantize.report.metadata import MARKS, PREFIX, read_facts
from quantize.report.table import Table
from quantize.report.wording import NOTHING, megabytes, one_line, percent

_FORMATS = {"qlinear": "QLinear", "qdq": "QDQ", "mixed": "QLinear and QDQ"}
_COLUMN = 15
_SMALL = 10_000


@dataclass(frozen=True, repr=False)
class Inspection:
    """A model file.

    Attributes:
        path: The file.
        bytes: Its size.
        sha256: Hash of its bytes.
        graph_sha256: Hash of the model without its metadata.
        opsets: Operator sets and their versions, the default one first, as ``13, com.microsoft 1``.
        inputs: The inputs that are no weights, each as one reads it: name, type, shape.
        outputs: The outputs, likewise.
        contract: What it takes and gives as an image classifier; None if it is none.
        refusal: Why it cannot be tuned; None if it can, or is quantized.
        format: ``qlinear``, ``qdq``, ``mixed`` or ``float``.
        numbers: The types of its weights, that of most of them first; empty where it has none.
        catalog: Its name in the catalog, where its weights are known.
        ops: Op type to number of nodes, those inside an If, Loop or Scan included.
        arithmetic: Multiply-adds, and those in int8.
        facts: What this tool wrote into it, key (without prefix) to text; empty for other models.
        stored: Layers that are stored in int8 and computed in fp32.
        input_type: The numpy type of the only input; None where there are several, or none of a fixed type.
        opening: What opening the model takes, if it has such layers; None otherwise.
    """

    path: Path
    bytes: int
    sha256: str
    graph_sha256: str
    opsets: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    contract: ModelContract | None
    refusal: str | None
    format: str
    catalog: str | None
    ops: dict[str, int]
    arithmetic: Arithmetic
    facts: dict[str, str]
    numbers: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    input_type: str | None = None
    opening: Resources | None = None

    def __repr__(self) -> str:
        """Return it as `quantize inspect` prints it."""
        return inspection_text(self)


def inspect_model(path: Path, bounds: Bounds = Bounds()) -> Inspection:
    """Return what a model file is and says of itself, all of it found out in a process of its own.

    Args:
        path: The file.
        bounds: Of that process.

    Raises:
        ModelError: It is no ONNX model, it is damaged, or it did not stay within the bounds.
    """
    inspection = _as_values().validate_python(open_within(bounds, inspected, (str(path), bounds), path))
    if not inspection.stored or inspection.input_type is None:
        return inspection
    from quantize.opening.prove import prove

    prove(path, bounds)
    return replace(inspection, opening=_opened(path, inspection.arithmetic.sizes[0][1], inspection.input_type))


def inspected(place: tuple[str, Bounds], watch: Watch) -> Any:
    """Return an inspection as a JSON value; called in a child."""
    return _as_values().dump_python(inspect_here(place, watch), mode="json")


@cache
def _as_values() -> TypeAdapter[Inspection]:
    return TypeAdapter(Inspection)  # takes longer to make than a small model to inspect


def inspect_here(place: tuple[str, Bounds], watch: Watch) -> Inspection:
    """Return what a model file is, but for what opening it takes; called in the process that may die of it.

    Args:
        place: The file and the process's bounds.
        watch: Told of the stages.

    Raises:
        ModelError: The file is no ONNX model, or damaged.
    """
    path, bounds = Path(place[0]), place[1]
    watch.stage("it was read")
    proto = read_model(path, before_data=lambda size: watch.allow(bounds.memory_for(size)))
    watch.stage("it was inspected")
    with blamed(path):
        return _inspection(proto, path)


def _inspection(proto: ModelProto, path: Path) -> Inspection:
    content = path.read_bytes()
    given = [tensor_contract(value) for value in real_inputs(proto)]
    sha256, stored = sha256_bytes(content), stored_layers(proto)
    entry = catalog_entry_for(proto, sha256=sha256)
    contract: ModelContract | None = None
    refusal, kind = None, quantized_format(proto)
    try:
        contract = model_contract(proto)
        if kind == "float":
            refuse_unsuitable(proto, str(path))
    except ModelError as error:
        refusal = error.problem
        if contract is None and len(several := score_tensors(proto)) > 1:
            refusal += f"; name one: --score_output {' or '.join(tensor.output for tensor in several)}"
    return Inspection(
        path=path,
        bytes=len(content),
        sha256=sha256,
        graph_sha256=graph_sha256(proto),
        opsets=_opsets(proto),
        inputs=tuple(describe(value) for value in real_inputs(proto)),
        outputs=tuple(describe(value) for value in proto.graph.output),
        contract=contract,
        refusal=refusal,
        format=kind,
        catalog=entry.name if entry is not None else None,
        ops=op_counts(proto),
        arithmetic=arithmetic_of(proto),
        facts={key.removeprefix(PREFIX): value for key, value in read_facts(proto).items()},
        numbers=weight_types(proto),
        stored=stored,
        input_type=given[0].dtype if len(given) == 1 and given[0] is not None else None,
    )


def _opsets(model: ModelProto) -> str:
    others = [f"{entry.domain} {entry.version}" for entry in model.opset_import if entry.domain not in DEFAULT_DOMAINS]
    return ", ".join([str(default_opset(model)), *others])


def _opened(path: Path, sizes: tuple[int, ...], dtype: str) -> Resources | None:
    """Return what opening a model costs, measured in a separate process; None if it does not run."""
    from quantize.measurement.machine.resources import measure_resources
    from quantize.measurement.timing.plan import Plan

    plan = Plan(models={"model": path}, baseline=None, control=False)
    try:
        (resources,) = measure_resources(plan, {"model": np.zeros(sizes, dtype)}, repeats=1, runs=1)
    except MeasurementError:  # the rest can be told all the same
        return None
    return resources


def inspection_text(inspection: Inspection) -> str:
    """Return an inspection for a terminal, 80 columns wide but for what cannot be broken."""
    contract, arithmetic = inspection.contract, inspection.arithmetic
    known = [
        ("file", f"{inspection.path} ({_size(inspection.bytes)})"),
        ("sha256", inspection.sha256),
        ("graph", inspection.graph_sha256),
        ("format", _format(inspection)),
        ("opset", inspection.opsets),
        ("catalog", inspection.catalog or NOTHING),
        *(("input", text if contract is None else f"{text} {contract.input_layout}") for text in inspection.inputs),
        *(("output", text) for text in inspection.outputs),
        *([("scores", _scores(contract))] if contract is not None else []),
        ("multiply-adds", _counted(arithmetic)),
        *(("", sentence) for sentence in arithmetic.choices),
    ]
    if inspection.refusal is not None:
        known.append(("to be tuned", f"no: {inspection.refusal}"))
    if inspection.opening is not None:
        from quantize.report.speed_tables import STORED, opening

        known.append(
            ("weights", f"{len(inspection.stored):,} layers {STORED}; opening it takes {opening(inspection.opening)}")
        )
    lines = [_row(name, text) for name, text in known]
    lines += ["", drawn(Table("Operators", ("op", "nodes"), tuple((op, str(n)) for op, n in inspection.ops.items())))]
    if not inspection.facts:
        return "\n".join([*lines, "", "No metadata: this tool did not write the file."])
    lines += ["", "Metadata", *(_fact(name, text) for name, text in inspection.facts.items())]
    return "\n".join(lines)


def _format(inspection: Inspection) -> str:
    """Return the type of most of the weights, of integers where they are quantized; else of the input."""
    quantized = _FORMATS.get(inspection.format)
    floats = [name for name in inspection.numbers if name in FLOATS.values()]
    integers = [name for name in inspection.numbers if name not in FLOATS.values()]
    if quantized is not None:
        return f"{integers[0] if integers else 'int8'} ({quantized})"
    computed = floats[0] if floats else {"float16": "fp16", "float64": "fp64"}.get(inspection.input_type or "", "fp32")
    return f"{computed}, weights of {integers[0]}" if integers and "MatMulNBits" in inspection.ops else computed


def _scores(contract: ModelContract) -> str:
    """Return which tensor is judged, and what it says."""
    where = contract.output.name if contract.gives_scores else f"{contract.output.name}, from which the file chooses"
    return f"{where}: {contract.scores_in_words}"


def _fact(name: str, text: str) -> str:
    """Return what a file says on a line; below its name, broken at commas, where it is too long for one."""
    if f"{PREFIX}{name}" == MARKS:
        text = f"of {text.count(',') + 1:,} images"
    line = f"  {one_line(name) + ':':<28} {one_line(text)}"
    if len(line) <= WIDTH:
        return line
    broken = one_line(text).replace(',"', ', "')
    return f"  {one_line(name)}:\n" + textwrap.fill(
        broken, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False, break_long_words=False
    )


def _size(size: int) -> str:
    return megabytes(size) if size >= _SMALL else f"{size:,} bytes"


def _row(name: str, text: str) -> str:
    """Return a line, its text wrapped under its own beginning."""
    start = f"{name + ':' if name else '':<{_COLUMN}}"
    return textwrap.fill(
        one_line(text),
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * _COLUMN,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _counted(arithmetic: Arithmetic) -> str:
    """Return how many multiply-adds there are, at which input, and what is not counted."""
    left_out = ""
    if arithmetic.unknown:
        products = "product" if arithmetic.unknown == 1 else "products"
        left_out = f"; {arithmetic.unknown:,} {products} of unknown size not counted"
    if not arithmetic.total:
        return "none" if not left_out else "unknown: no product has a known size"
    at = " and ".join("x".join(map(str, sizes)) for _, sizes in arithmetic.sizes)
    return f"{arithmetic.total:,} for one image, {percent(arithmetic.share, 1)} of them in int8 (input {at}){left_out}"
