"""The values that eight bits can represent, and the range of a tensor that they cover."""
