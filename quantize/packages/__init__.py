"""Models packaged for publication: archive, card, sample data."""
