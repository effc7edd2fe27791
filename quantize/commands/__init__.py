"""One function per command, shared by Python users and the command line."""
