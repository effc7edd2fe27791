"""The field's architectures with made weights, one a file; see ``benchmarks/make_networks.py``."""
