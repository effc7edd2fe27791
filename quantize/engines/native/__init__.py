"""The project's own engine."""
