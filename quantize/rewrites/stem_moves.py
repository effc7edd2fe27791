"""What the moves that rewrites put before the first Conv are called: ``CONV_SpaceToDepth``, ``CONV_Columns_3``.

By these names a profile knows that they belong to that Conv.
"""

from __future__ import annotations

SPACE_TO_DEPTH_MOVE = "SpaceToDepth"
COLUMNS_MOVE = "Columns"
STEM_MOVES = frozenset({SPACE_TO_DEPTH_MOVE, COLUMNS_MOVE})
