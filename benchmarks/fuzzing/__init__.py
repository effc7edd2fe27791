"""Files of strangers, made by the hundred thousand: see `benchmarks/fuzz.py`."""
