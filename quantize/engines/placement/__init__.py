"""Which layers of an engine's model compute in int8 here, for engines whose own search does not decide that."""
