"""Several instances at once, each a process on its own cores."""
