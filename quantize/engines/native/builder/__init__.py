"""From an fp32 model, a recipe and calibration statistics to a quantized model."""
