"""Intel Neural Compressor as an engine; only its worker process imports it."""
