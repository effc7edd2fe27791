"""Models as they are published: archive, card, sample data."""
