"""Which layers compute in int8 on this machine, for engines whose own search does not decide that."""
