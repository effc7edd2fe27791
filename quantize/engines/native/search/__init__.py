"""Choosing the fastest candidate that is accurate enough."""
