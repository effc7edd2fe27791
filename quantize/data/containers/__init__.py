"""Image containers: folders, archives, tables."""
