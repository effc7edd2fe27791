"""Tune many models on many machines: a matrix of runs on Dask, and one report."""
