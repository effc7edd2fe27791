"""The values that eight bits can take, and which range of a tensor they cover."""
