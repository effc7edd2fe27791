"""How much of a model's arithmetic is in int8, read from the file alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnx import GraphProto, ModelProto, NodeProto

from quantize.errors import ModelError
from quantize.formats import canonical, quantized_format
from quantize.graph.inlining import without_functions
from quantize.graph.nodes import ACTIVATIONS, holds_graphs, is_op, reads
from quantize.graph.other_products import inner_multiply_adds, multiplies_inside
from quantize.graph.products import multiply_adds, product_form
from quantize.graph.scopes import Scope, image_sizes
from quantize.graph.view import Graph
from quantize.models.run_sizes import run_sizes
from quantize.report.metadata import recorded_image_size

USUAL_IMAGE = (224, 224)
"""Height and width that are counted with where neither the model nor a run says them."""


@dataclass(frozen=True)
class Arithmetic:
    """Multiply-adds of one run on one image, of convolutions, matrix products and what has some inside.

    Attributes:
        total: All of them.
        int8: Those that onnxruntime computes on integers.
        sizes: The input that they were counted at, by name; the batch is 1 unless the model insists on another.
        unknown: Products whose sizes do not follow from the input's: they are not counted.
        choices: What was counted of each If, Loop and Scan that holds products, a sentence each.
    """

    total: int
    int8: int
    sizes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    unknown: int = 0
    choices: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """Return the share in int8, a fraction; None for a model without products of known shape."""
        return self.int8 / self.total if self.total else None


def arithmetic_of(model: ModelProto, *, image: tuple[int, int] | None = None) -> Arithmetic:
    """Return how many multiply-adds a model needs, and how many of them are in int8.

    A product counts as int8 where onnxruntime computes it on integers: a QLinear operator, or a float operator between
    DequantizeLinear and (but for matrix products) QuantizeLinear. Of an If, the branch that is taken counts where that
    is known, else the larger one; a Loop's body as often as it says, else once.

    Args:
        model: In any format, fp32 too.
        image: Height and width where the model takes any; None: those of the run that it says it comes from, else 224.
    """
    sizes = image_sizes(model, image or recorded_image_size(model) or USUAL_IMAGE)
    batch = next((of_input[0] for of_input in sizes.values() if of_input), 1)
    model = _readable(without_functions(model))
    count, scope = _Count(), Scope.of(model, sizes)
    total, integer = count.of(scope, Graph.of(scope.graph))
    if count.unknown:
        scope = scope.knowing(run_sizes(model, sizes, _made(scope.graph)))
        count = _Count()
        total, integer = count.of(scope, Graph.of(scope.graph))
    return Arithmetic(
        total=round(total / batch),
        int8=round(integer / batch),
        sizes=tuple(sizes.items()),
        unknown=count.unknown,
        choices=tuple(count.choices),
    )


def _readable(model: ModelProto) -> ModelProto:
    """Return a quantized model in the form whose shapes can be inferred; any other as it is."""
    if quantized_format(model) == "float":
        return model
    try:
        return canonical(model)
    except ModelError:  # an operator that has no form at opset 13
        return model


def _made(graph: GraphProto) -> Iterator[str]:
    """Yield what products, and nodes with graphs inside, take and give, but for inputs and constants."""
    made = {name for node in graph.node for name in node.output if node.op_type != "Constant"}
    for node in graph.node:
        if product_form(node) is not None or multiplies_inside(node) or holds_graphs(node):
            yield from (name for name in (*reads(node), *node.output) if name in made)


class _Count:
    """Counts graph in graph, and remembers what could not be counted and what was chosen."""

    def __init__(self) -> None:
        self.unknown = 0
        self.choices: list[str] = []

    def of(self, scope: Scope, graph: Graph) -> tuple[int, int]:
        """Return the multiply-adds of a graph, and those of them on integers."""
        total = integer = 0
        for node in graph.nodes:
            form = product_form(node)
            if form is not None:
                count = multiply_adds(node, form, scope.sizes)
                self.unknown += count is None
                total += count or 0
                integer += (count or 0) if form.on_integers or _on_integers(graph, node) else 0
            elif multiplies_inside(node):
                count = inner_multiply_adds(node, scope.sizes)
                self.unknown += count is None
                total += count or 0
            inner = self._inside(scope, graph, node)
            total, integer = total + inner[0], integer + inner[1]
        return total, integer

    def _inside(self, scope: Scope, graph: Graph, node: NodeProto) -> tuple[int, int]:
        bodies = list(scope.bodies(node))
        if not bodies:
            return 0, 0
        counts = {name: self.of(body, view) for (name, body), view in zip(bodies, graph.bodies(node), strict=True)}
        if not any(total for total, _ in counts.values()):
            return 0, 0
        name = f"{node.op_type} {node.name or node.output[0]}"
        if is_op(node, "If"):
            return self._of_branches(name, graph, node, counts)
        turns = _turns(scope, graph, node)
        self.choices.append(f"{name}: its body counts {'once' if turns is None else f'{turns:,} times'}")
        total, integer = (
            sum(counted) * (1 if turns is None else turns) for counted in zip(*counts.values(), strict=True)
        )
        return total, integer

    def _of_branches(
        self, name: str, graph: Graph, node: NodeProto, counts: dict[str, tuple[int, int]]
    ) -> tuple[int, int]:
        condition = graph.constant(node.input[0])
        if condition is not None and condition.size == 1:
            taken = "then_branch" if condition.item() else "else_branch"
            self.choices.append(f"{name}: {taken} counts, the one that is taken")
            return counts[taken]
        largest = max(counts, key=lambda branch: counts[branch])
        others = ", ".join(f"{total:,} in {branch}" for branch, (total, _) in counts.items() if branch != largest)
        self.choices.append(
            f"{name}: {largest} counts, the larger one ({counts[largest][0]:,} multiply-adds; {others})"
        )
        return counts[largest]


def _turns(scope: Scope, graph: Graph, node: NodeProto) -> int | None:
    """Return how often a body runs, or None if that is not known."""
    if is_op(node, "Loop"):
        most = graph.constant(node.input[0]) if node.input and node.input[0] else None
        return int(most.item()) if most is not None and most.size == 1 else None
    if is_op(node, "Scan"):
        scanned = scope.sizes.get(node.input[-1])
        return scanned[0] if scanned else None
    return None


def _on_integers(graph: Graph, node: NodeProto) -> bool:
    sources = [graph.producer(name) for name in node.input[:2]]
    if not all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
        return False
    if node.op_type == "MatMul":
        return True
    output = node.output[0]
    while len(after := graph.consumers(output)) == 1 and after[0].op_type in ACTIVATIONS:
        output = after[0].output[0]
    # onnxruntime has a Gemm of integers with a float result (QGemm), but no such Conv.
    return node.op_type == "Gemm" or (bool(after) and all(reader.op_type == "QuantizeLinear" for reader in after))
