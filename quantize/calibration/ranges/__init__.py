"""One rule a file: from a tensor's histogram to the range that its eight bits cover."""
