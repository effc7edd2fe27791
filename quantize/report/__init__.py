"""The report of a run: one JSON file, and everything drawn from it."""
