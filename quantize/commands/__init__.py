"""One use case for each command: what Python users and the command line both call."""
