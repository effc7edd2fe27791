"""Latency, throughput and memory of models on this machine, paired and with uncertainty."""
