"""The command line: builds values, calls one function of ``quantize.commands`` and prints the result."""
