"""Decoded images, kept as uint8 crops."""
