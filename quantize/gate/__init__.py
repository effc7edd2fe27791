"""Tolerances, accepted baselines and checks: what lets a CI stop a regression."""
