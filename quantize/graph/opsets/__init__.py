"""Raising a model's opset: what changed in each version of the default operator set, operator by operator."""
