"""What this CPU's int8 and fp32 kernels reach, and what int8 is expected to gain from that."""
