"""Read a model, describe its contract, clean up any classifier, and find known models."""
