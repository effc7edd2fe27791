"""The table on where the layers of an engine's model compute."""

from __future__ import annotations

from quantize.engines.engine import engine_named
from quantize.report.placement import PlacementOptionSection, RatioSection
from quantize.report.schema import RunReport
from quantize.report.table import Table
from quantize.report.wording import NOTHING, bounds, megabytes, percent, times

_KINDS = {
    "as tuned": "as {engine} decided",
    "smaller": "the same, float weights stored",
    "fastest": "fastest by prediction",
    "safer": "more layers in float",
    "float": "all in float",
}


def placement_table(report: RunReport) -> Table | None:
    """Return what placements were looked at, or None where none was."""
    placement = report.placement
    if placement is None or not placement.options:
        return None
    return Table(
        "Placement",
        ("layers", "in int8", "stored in int8", "speed-up, 95 %", "over as tuned", "criterion", "size"),
        tuple(_row(option, engine_named(report.chosen.recipe.engine).in_words) for option in placement.options),
        (
            f"* taken: {placement.reason}.",
            "Layers that measure slower in int8 on this machine go back to float. Stored in int8: fp32 arithmetic on "
            "weights stored in int8. Each was timed in turns with fp32, or with the model as tuned.",
        ),
    )


def _row(option: PlacementOptionSection, engine: str) -> tuple[str, ...]:
    verdict = NOTHING if option.met is None else "met" if option.met else "not met"
    return (
        f"{_KINDS[option.kind].format(engine=engine)}{' *' if option.taken else ''}",
        f"{option.int8_layers} of {option.layers}",
        f"{option.stored_layers}",
        _times(option.speedup),
        _times(option.gain),
        verdict if option.metric is None else f"{verdict} ({percent(option.metric)})",
        megabytes(option.bytes),
    )


def _times(found: RatioSection | None) -> str:
    return NOTHING if found is None else f"{times(found.ratio)} {bounds(found.low, found.high)}"
