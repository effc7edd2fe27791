"""What a run found: one JSON file, and everything that is drawn from it."""
