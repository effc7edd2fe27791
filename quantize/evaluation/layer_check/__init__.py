"""Each quantized layer of a written model against what its grids predict, whatever the criterion says."""

from quantize.evaluation.layer_check.check import LayerFinding, check_layers

__all__ = ["LayerFinding", "check_layers"]
