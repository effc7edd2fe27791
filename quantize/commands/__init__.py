"""One use case a command, between the command line and the rooms below."""
