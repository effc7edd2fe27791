"""Engines that turn an fp32 model and a recipe into a quantized one; Neural Compressor among them."""
