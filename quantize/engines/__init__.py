"""Engines that turn an fp32 model and a recipe into a quantized model; Neural Compressor is one of them."""
