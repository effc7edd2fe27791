"""Obtain a model file by name."""
