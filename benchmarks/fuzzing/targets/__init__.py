"""One way in a file."""
