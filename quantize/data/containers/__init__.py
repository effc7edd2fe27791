"""Where images lie: folders, archives, tables."""
