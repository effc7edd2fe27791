"""Models known by name and by weights."""
