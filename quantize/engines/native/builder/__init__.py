"""Build a quantized model from an fp32 model, a recipe and calibration statistics."""
