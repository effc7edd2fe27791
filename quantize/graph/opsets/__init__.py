"""Conversions between opsets: what changed in each version, operator by operator."""
