"""Sweeps of real models that lose workers, and what they come to."""
