"""Obtaining a model file by its name."""
