"""Models in: what a model is, its contract, making any classifier clean, and where known ones come from."""
