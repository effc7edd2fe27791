"""A stranger's model is opened in a process of its own first, within bounds on memory and time."""
