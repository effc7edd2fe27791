"""The rates that this CPU reaches in int8 and fp32, and the speed-up that follows for int8."""
