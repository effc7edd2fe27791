"""Tolerances, accepted baselines and checks, with which a CI stops regressions."""
