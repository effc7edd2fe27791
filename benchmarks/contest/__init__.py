"""What ``benchmarks/peers.py`` is made of: networks, contenders, and the cells of its tables."""
