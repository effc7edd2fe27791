"""The functions that a Python user calls; the commands are thin over them."""
