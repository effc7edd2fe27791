"""Range rules, one a file: each chooses, from a tensor's values, the range that eight bits cover."""
