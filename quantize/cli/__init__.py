"""The command line: builds values, calls one function of ``quantize.api``, prints."""
