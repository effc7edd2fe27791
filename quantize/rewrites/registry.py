"""The rewrites in their order, and which of them a setting selects.

A new one is a file of its own here, like ``channel_padding``: a ``Rewrite`` (``protocol``) in a constant, which takes
its place in ``REWRITES`` below. ``tests/rewrites/test_any_graph.py`` then holds it to its declaration.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from onnx import ModelProto

from quantize.errors import ConfigError
from quantize.formats import canonical, to_qdq
from quantize.graph.view import Graph
from quantize.rewrites.average_as_conv import AVERAGE_AS_CONV
from quantize.rewrites.channel_padding import CHANNEL_PADDING
from quantize.rewrites.common_scales import COMMON_SCALES
from quantize.rewrites.early_selection import EARLY_SELECTION
from quantize.rewrites.float_head import FLOAT_HEAD
from quantize.rewrites.function_table import FUNCTION_TABLE
from quantize.rewrites.hard_swish import HARD_SWISH
from quantize.rewrites.matrix_units import MATRIX_UNITS
from quantize.rewrites.mean_as_product import MEAN_AS_PRODUCT
from quantize.rewrites.one_node_functions import ONE_NODE_FUNCTIONS
from quantize.rewrites.output_padding import OUTPUT_PADDING
from quantize.rewrites.pool_before_activation import POOL_BEFORE_ACTIVATION
from quantize.rewrites.protocol import Rewrite
from quantize.rewrites.redundant import REDUNDANT
from quantize.rewrites.scaled_grids import SCALED_GRIDS
from quantize.rewrites.separate_products import SEPARATE_PRODUCTS
from quantize.rewrites.sigmoid_product import SIGMOID_PRODUCT
from quantize.rewrites.space_to_depth import SPACE_TO_DEPTH
from quantize.rewrites.stem_by_columns import STEM_BY_COLUMNS
from quantize.rewrites.stem_by_rows import STEM_BY_ROWS

REWRITES: tuple[Rewrite, ...] = (
    REDUNDANT,
    SEPARATE_PRODUCTS,
    EARLY_SELECTION,
    POOL_BEFORE_ACTIVATION,
    SPACE_TO_DEPTH,
    STEM_BY_ROWS,
    STEM_BY_COLUMNS,
    OUTPUT_PADDING,
    CHANNEL_PADDING,
    COMMON_SCALES,
    SCALED_GRIDS,
    HARD_SWISH,
    ONE_NODE_FUNCTIONS,
    SIGMOID_PRODUCT,
    FUNCTION_TABLE,
    FLOAT_HEAD,
    AVERAGE_AS_CONV,
    MEAN_AS_PRODUCT,
    MATRIX_UNITS,
)
"""All rewrites, in the order in which they are applied: the later ones find what the earlier ones leave."""

DEFAULT: tuple[Rewrite, ...] = REWRITES
"""What ``default`` means: everything that has paid on a real model."""


def select_rewrites(setting: str | Sequence[str]) -> tuple[Rewrite, ...]:
    """Return the rewrites that a setting names, in the order in which they are applied.

    Args:
        setting: ``none``, ``default``, ``all``, or names (a sequence, or one text with commas).

    Raises:
        ConfigError: A name that is none of a rewrite.
    """
    names = setting.split(",") if isinstance(setting, str) else list(setting)
    names = [name.strip().replace("_", "-") for name in names]
    groups = {"none": (), "default": DEFAULT, "all": REWRITES}
    if len(names) == 1 and names[0] in groups:
        return groups[names[0]]
    known = {rewrite.name: rewrite for rewrite in REWRITES}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, [*groups, *known], n=1)
            raise ConfigError(
                "no rewrite has this name",
                where="rewrites",
                found=repr(name),
                expected=f"none, default, all, or some of {', '.join(known)}",
                advice=f"did you mean {near[0]!r}?" if near else None,
            )
    return tuple(rewrite for rewrite in REWRITES if rewrite.name in names)


def apply_rewrites(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """Return ``model`` (QDQ) after the named rewrites, in their order; those that match nothing change nothing.

    Raises:
        ConfigError: If there is no rewrite of a name.
    """
    if not names:
        return model
    current = canonical(model)
    graph = Graph(current)
    for rewrite in select_rewrites(names):
        if rewrite.apply(graph):  # what matches nothing leaves the graph as it is
            current = graph.model()
            graph = Graph(current)
    return to_qdq(current)
