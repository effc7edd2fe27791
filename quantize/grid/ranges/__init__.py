"""Range rules, one a file: from a tensor's values to the range that its eight bits cover."""
