"""This project's own engine."""
